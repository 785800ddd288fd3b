"""parliament, a linter of IAM policies that knows AWS's actions, resources and condition keys."""

from __future__ import annotations

import importlib.resources
import json
import sys
import types
import warnings
from typing import Any


def _parliament() -> Any:
    """Import it; it wants pkg_resources, which setuptools no longer has, for one function."""
    if "pkg_resources" not in sys.modules:
        module = types.ModuleType("pkg_resources")
        vars(module)["resource_filename"] = lambda package, name: str(
            importlib.resources.files(package) / name
        )
        sys.modules["pkg_resources"] = module
        try:
            return _import()
        finally:
            del sys.modules["pkg_resources"]
    return _import()


def _import() -> Any:
    with warnings.catch_warnings():  # of files left open, and of escapes in patterns
        warnings.simplefilter("ignore")
        import parliament

    return parliament


def findings(document: Any) -> list[str]:
    """Return what is wrong with a policy."""
    policy = _parliament().analyze_policy_string(json.dumps(document))
    return [f"{finding.issue}: {finding.detail}" for finding in policy.findings]
