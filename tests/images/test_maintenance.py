"""Bases that are out of maintenance, with the date since which they are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from deployer.images.context import NO_BASE, Context
from deployer.images.maintenance import SYSTEMS, maintenance_warning
from deployer.project.contexts import base_warnings

AWS = "public.ecr.aws/lambda/python"


@pytest.mark.parametrize(
    ("base", "today", "warned"),
    [
        (f"{AWS}:3.11", date(2026, 6, 30), False),
        (f"{AWS}:3.11", date(2026, 7, 1), True),
        (f"{AWS}:3.10-x86_64@sha256:{'0' * 64}", date(2026, 7, 1), True),
        (f"{AWS}:3.12", date(2026, 7, 1), False),
        (f"{AWS}:3.12", date(2029, 7, 1), True),
        (f"{AWS}:3.99", date(2029, 7, 1), False),
        (f"{AWS}:latest", date(2029, 7, 1), False),
        ("python:3.11", date(2029, 7, 1), False),
    ],
)
def test_a_base_out_of_maintenance_is_a_warning_with_its_date(
    base: str, today: date, warned: bool
) -> None:
    warning = maintenance_warning(base, today)
    assert (warning is not None) == warned
    if warning:
        assert warning.startswith(f"warning: {base.partition('@')[0]} stands on Amazon Linux 2")
        assert f"since {SYSTEMS[base.partition(':')[2][:4]][1]}: train with" in warning


def test_images_that_share_a_base_are_warned_of_once(tmp_path: Path) -> None:
    old, none = (Context(tmp_path, base, "x86_64", "3.10") for base in (f"{AWS}:3.10", NO_BASE))
    (line,) = base_warnings({"image": old, "image/other": old, "image/third": none})
    assert "python:3.10 stands on Amazon Linux 2" in line
