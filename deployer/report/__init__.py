"""How runs, plans and results look in a terminal. The only user of rich."""
