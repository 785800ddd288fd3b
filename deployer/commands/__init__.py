"""The command line, one verb at a time."""
