"""Whose the resources of a service are: the tags that mark them."""

from __future__ import annotations

from deployer.project.settings import Settings
from deployer.resources.base import Ownership


def ownership(settings: Settings) -> Ownership:
    """Return the tags that mark the resources of a service and stage, and the user's own."""
    return Ownership(settings.tags, settings.adopt, settings.own_tags)
