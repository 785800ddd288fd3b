"""Plan changes and apply them, without knowing any kind of resource or a terminal."""
