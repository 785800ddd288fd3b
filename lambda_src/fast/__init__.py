"""Faster ways to load and evaluate a model than plain joblib; FAST_PATHS=off leaves them unused."""
