"""The operating systems of AWS's images for Python, and when their maintenance ends (Img-16).

Sources: the systems, docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html; the end of Amazon
Linux 2, aws.amazon.com/amazon-linux-2/faqs; that of Amazon Linux 2023,
docs.aws.amazon.com/linux/al2023/ug/release-cadence.html.
"""

from __future__ import annotations

import re
from datetime import date

from deployer.images.registry import Reference

_AMAZON_LINUX_2 = ("Amazon Linux 2", date(2026, 6, 30))
_AMAZON_LINUX_2023 = ("Amazon Linux 2023", date(2029, 6, 30))
SYSTEMS = {
    "3.8": _AMAZON_LINUX_2,
    "3.9": _AMAZON_LINUX_2,
    "3.10": _AMAZON_LINUX_2,
    "3.11": _AMAZON_LINUX_2,
    "3.12": _AMAZON_LINUX_2023,
    "3.13": _AMAZON_LINUX_2023,
    "3.14": _AMAZON_LINUX_2023,
}


def maintenance_warning(base: str, today: date) -> str | None:
    """Return a warning if a base of AWS is out of maintenance; None for any other image."""
    reference = Reference.parse(base)
    version = re.match(r"[0-9]+\.[0-9]+", reference.tag)
    if not reference.repository.endswith("lambda/python") or not version:
        return None
    system, end = SYSTEMS.get(version[0], ("", date.max))
    if today <= end:
        return None
    return (
        f"warning: {base.partition('@')[0]} stands on {system}, which is out of maintenance since "
        f"{end}: train with Python 3.12 or newer"  # Img-16
    )
