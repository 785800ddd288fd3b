"""What provisioned concurrency costs, and which settings of concurrency do not fit together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployer.project.settings import FunctionSettings, Settings, load_settings
from deployer.resources.provisioned import OwnedProvisionedConcurrency
from deployer.service.provisioning import cost, problems, taken
from tests.support.projects import ROOT


def settings(
    region: str = "us-east-1", architecture: str = "x86_64", **functions: FunctionSettings
) -> Settings:
    return Settings(Path(), region=region, architecture=architecture, per_function=functions)


def kept(provisioned: int | None, reserved: int | None = None) -> FunctionSettings:
    return FunctionSettings(provisioned_concurrency=provisioned, reserved_concurrency=reserved)


def test_a_month_of_a_gigabyte_costs_what_aws_own_calculator_says() -> None:
    """730 hours; half the memory costs half, and another region another price."""
    assert "1 x 1024 MB kept ready cost about 10.95 USD" in cost(settings(a=kept(1)), "a")
    half = FunctionSettings(memory_mb=512, provisioned_concurrency=100)
    assert "100 x 512 MB kept ready cost about 547.50 USD" in cost(settings(a=half), "a")
    dearer = cost(settings("eu-central-1", a=kept(1)), "a")
    assert "13.18 USD a month while idle (eu-central-1, prices of" in dearer
    assert cost(settings(), "a") == ""


@pytest.mark.parametrize(
    ("region", "architecture"), [("sa-east-1", "x86_64"), ("us-east-1", "arm64")]
)
def test_a_price_that_is_not_known_is_said(region: str, architecture: str) -> None:
    shown = cost(settings(region, architecture, a=kept(1)), "a")
    assert "10.95 USD a month while idle for x86_64 in us-east-1" in shown
    assert f"the price for {architecture} in {region} is not known here" in shown


def test_the_docs_show_the_setting_and_the_line_of_the_plan(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "cold_starts.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```ini\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "setup.cfg").write_text(text)
    loaded = load_settings(tmp_path, {"region": "us-east-1"}, {})
    assert f"        {cost(loaded, 'random_forest')}\n```" in page


def test_two_versions_must_fit_into_what_is_reserved() -> None:
    """Pc-9."""
    fine = settings(a=kept(2, 4), b=kept(2), c=kept(None, 0), d=kept(None, 1))
    assert list(problems(fine, "abcd")) == []
    (equal, small) = problems(settings(a=kept(2, 2), b=kept(3, 5)), "ab")
    assert equal.startswith("setup.cfg: a: provisioned_concurrency 2 lies within")
    assert "$LATEST would be throttled to zero" in equal and "$LATEST" not in small
    assert "reserve 6 or more, or nothing" in small


def test_a_deploy_takes_what_is_reserved_or_twice_what_is_provisioned() -> None:
    """Lambda-12, PRE-8."""
    assert taken(settings(a=kept(2, 10), b=kept(3), c=kept(None, 0)), "abcd") == 16


def test_what_the_newest_version_holds_is_wanted_where_the_settings_want_any() -> None:
    """Lambda-16: publishing may make no new version, which only the run tells."""
    outputs = {"function/a": {"version_arn": "arn:function:a:7"}, "function/b": None}

    def wanted(version: str, by: str | None) -> bool:
        held = OwnedProvisionedConcurrency("k", version=version, part_of="", wanted_by=by)
        return held.is_wanted(outputs)

    assert wanted("arn:function:a:7", "function/a")
    assert not wanted("arn:function:a:6", "function/a")
    assert not wanted("arn:function:a:7", None)
    assert not wanted("arn:function:a:7", "function/b")
    assert not wanted("arn:function:a:7", "function/undeclared")
