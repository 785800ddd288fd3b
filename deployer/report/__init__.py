"""How a run looks: the only user of rich."""
