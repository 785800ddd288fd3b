"""The kinds of resource, one file per AWS service."""
