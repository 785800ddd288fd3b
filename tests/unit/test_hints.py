"""Commands in messages: the program that was typed, and where it works."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from deployer.hints import (
    DISTRIBUTION,
    copyable,
    environment_advice,
    install_command,
    requirements_advice,
)

WHERE = {
    "stage": "my stage",
    "service": None,
    "local": True,
    "project": ".",
    "region": "eu-west-1",
    "verbose": True,
}

PLACE = "--stage 'my stage' --region eu-west-1 --local"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "deployer"])
    monkeypatch.setattr(sys, "argv", ["/somewhere/deployer/__main__.py"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("try: python -m deployer up", f"try: .venv/bin/python -m deployer up {PLACE}"),
        ("python -m deployer down --force", f".venv/bin/python -m deployer down {PLACE} --force"),
        ("to agree: python -m deployer ... --yes", "to agree: .venv/bin/python -m deployer up "
                                                   "--stage 'my stage' --yes"),
        ("run python train.py --data x.csv", "run .venv/bin/python train.py --data x.csv"),
        ("python -m deployer init", ".venv/bin/python -m deployer init --stage 'my stage' "
                                    "--region eu-west-1"),
        ("python 3.12 is needed", "python 3.12 is needed"),
        ("use .venv/bin/python -m deployer up", "use .venv/bin/python -m deployer up"),
        ("", ""),
    ],
)  # fmt: skip
def test_commands_name_program_and_place(text: str, expected: str) -> None:
    assert copyable(text, WHERE, ["up", "--stage", "my stage"]) == expected


def test_a_text_is_made_copyable_once() -> None:
    once = copyable("python -m deployer plan; python train.py", WHERE)
    assert copyable(once, WHERE) == once


def test_the_console_script_goes_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/bin/deployer"])
    assert copyable("python -m deployer plan", {}) == f"{tmp_path}/bin/deployer plan"
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    script = tmp_path / "bin" / "deployer"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert copyable("python -m deployer plan", {}) == "deployer plan"


def test_an_environment_at_hand_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert "python3 -m venv .venv" in environment_advice()
    script = tmp_path / ".venv" / "bin" / "deployer"
    script.parent.mkdir(parents=True)
    script.touch()
    assert environment_advice().endswith(".venv/bin/python -m deployer")


def test_requirements_are_installed_as_the_environment_was_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("my shop/requirements.txt")
    pip = ".venv/bin/python -m pip install -r 'my shop/requirements.txt'"
    assert requirements_advice(path) == requirements_advice(tmp_path / path) == pip
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "tool"))
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "pipx_metadata.json").touch()
    absolute = f"'{tmp_path.resolve() / path}'"  # pipx changes the folder
    assert requirements_advice(path) == f"pipx runpip tool install -r {absolute}"
    monkeypatch.setattr(sys, "prefix", "/cache/uv/archive-v0/Kz1")
    option = "add an option of uvx, --with-requirements 'my shop/requirements.txt'"
    assert requirements_advice(path) == option
    monkeypatch.setattr(sys, "argv", ["/cache/uv/archive-v0/Kz1/bin/deployer"])
    assert (
        copyable("python -m deployer up", {}) == f"uvx --from '{DISTRIBUTION}[local]' deployer up"
    )


def test_an_environment_without_pip_is_left_to_uv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "pip", raising=False)
    monkeypatch.chdir(tmp_path)
    command = f"uv pip install --python {shlex.quote(sys.executable)} -r requirements.txt"
    assert requirements_advice(Path("requirements.txt")) == command


def test_the_checkout_is_installed_in_place() -> None:
    """That of an installed wheel is in tests/cli/test_installed.py."""
    assert install_command() == "pip install -e '.[local]'"


def test_a_repeated_command_shows_no_secret() -> None:
    typed = ["invoke", "--token", "s3cret", "--sample", "--key=s3cret"]
    shown = copyable("python -m deployer ... --yes", {}, typed)
    assert shown.endswith("invoke --token ... --sample --key=... --yes")
