"""AWS's partitions and their regions, from botocore's own data. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_SUFFIX = "amazonaws.com"


@dataclass(frozen=True)
class Partitions:
    """The partitions of botocore's file `partitions.json`."""

    data: Sequence[Mapping[str, Any]]

    def dns_suffix(self, partition: str) -> str:
        """Return the suffix of host names; that of the public partition for an unknown one."""
        for known in self.data:
            if known["id"] == partition:
                return str(known["outputs"]["dnsSuffix"])
        return DEFAULT_SUFFIX

    def has_region(self, region: str) -> bool:
        return any(region in known["regions"] for known in self.data)

    def owns(self, url: str) -> bool:
        """Tell whether a URL without a path is one of AWS's own endpoints."""
        suffixes = {
            known["outputs"][name]
            for known in self.data
            for name in ("dnsSuffix", "dualStackDnsSuffix")
        }
        return any(url.endswith(f".{suffix}") for suffix in suffixes)
