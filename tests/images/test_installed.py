"""Dependencies and wheels of the packages that are installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.images.installed import closure, newer_wheels
from deployer.images.requirements import target_environment

LAMBDA = target_environment("3.12", "x86_64")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site: Path, name: str, version: str, *needs: str, tags: tuple[str, ...] = ()) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    (folder / "WHEEL").write_text("".join(f"Tag: py3-none-{tag}\n" for tag in tags))


def test_the_packages_that_a_package_needs_are_found_at_any_depth(site: Path) -> None:
    """In the versions here, for Lambda; without those of its base, and those not installed."""
    markers = ("winonly; sys_platform == 'win32'", "extra; extra == 'plot'")
    install(site, "boosts", "3.0", "Middle.One>=1", "boto3", "absent", *markers)
    install(site, "middle-one", "1.5", "deep", "boosts")
    install(site, "deep", "2.0")
    found = closure({"boosts": "3.0"}, LAMBDA)
    assert found == {"boosts": "3.0", "deep": "2.0", "middle-one": "1.5"}


def test_what_draws_plots_is_no_need_of_catboosts_predictions(site: Path) -> None:
    install(site, "catboost", "1.2.10", "graphviz", "matplotlib", "plotly", "deep")
    for name in ("graphviz", "matplotlib", "plotly", "deep"):
        install(site, name, "1.0")
    assert list(closure({"catboost": "1.2.10"}, LAMBDA)) == ["catboost", "deep"]


@pytest.mark.parametrize(
    ("tags", "python", "needs"),
    [
        (["manylinux_2_28_x86_64"], "3.11", "2.28"),
        (["manylinux_2_28_x86_64"], "3.12", ""),
        (["manylinux_2_17_x86_64", "manylinux_2_28_x86_64"], "3.11", ""),
        (["manylinux2014_x86_64"], "3.11", ""),
        (["any"], "3.11", ""),
    ],
)
def test_a_wheel_that_the_image_cannot_load_is_told(
    site: Path, tags: list[str], python: str, needs: str
) -> None:
    install(site, "boosts", "3.0", tags=tuple(tags))
    told = list(newer_wheels({"boosts": "3.0"}, python))
    if needs:
        assert told[0].startswith(
            f"the wheel of boosts 3.0 that is installed here needs glibc {needs}"
        )
    else:
        assert told == []
