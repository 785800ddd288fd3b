"""AWS's partitions and their regions, from botocore's own data. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_PARTITION = "aws"
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

    def of_region(self, region: str) -> str:
        """Return the partition of a region; the public one for a region of no known pattern."""
        for known in self.data:
            if region in known["regions"] or re.fullmatch(known["regionRegex"], region):
                return str(known["id"])
        return DEFAULT_PARTITION

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
