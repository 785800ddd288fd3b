"""Replacing parts of moto, so that a second replacement takes the place of the first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_ORIGINAL = "_deployer_original"


def original_of(owner: Any, name: str) -> Any:
    """Return moto's own attribute of a class or module, whether it has been replaced or not."""
    attribute = getattr(owner, name)
    return getattr(attribute, _ORIGINAL, attribute)


def around(owner: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace a function by a wrapper that takes the original as its first argument."""
    original = original_of(owner, name)

    def replace(wrapper: Callable[..., Any]) -> None:
        @functools.wraps(original)
        def function(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        setattr(function, _ORIGINAL, original)
        setattr(owner, name, function)

    return replace


def remember(owner: Any, name: str, size: int) -> None:
    """Cache the results of a function, by its arguments."""
    original = original_of(owner, name)
    cached = functools.lru_cache(maxsize=size)(original)
    setattr(cached, _ORIGINAL, original)
    static = isinstance(vars(owner).get(name), staticmethod)
    setattr(owner, name, staticmethod(cached) if static else cached)
