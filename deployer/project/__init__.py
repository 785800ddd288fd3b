"""The user's folder: settings, workflow, models."""
