"""Where a release comes from, as it stands in the description of its version."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.project.provenance import Provenance, caller, of_folder, parsed

NUMBERS = st.none() | st.integers(1, 999_999_999)
CANARIES = st.none() | st.tuples(st.integers(1, 99), st.integers(1, 999))


@given(
    commit=st.just("") | st.text("0123456789abcdef", min_size=7, max_size=12),
    changed=st.booleans(),
    by=st.text().map(lambda name: caller(f"arn:aws:iam::123456789012:user/{name[:64]}")),
    back_to=NUMBERS,
    promoted=NUMBERS,
    canary=CANARIES,
)
def test_a_description_is_read_as_it_was_written(
    commit: str,
    changed: bool,
    by: str,
    back_to: int | None,
    promoted: int | None,
    canary: tuple[int, int] | None,
) -> None:
    provenance = Provenance(
        commit,
        changed and commit != "",
        by,
        back_to,
        promoted,
        canary and canary[0],
        canary and canary[1],
    )
    assert parsed(provenance.to_text()) == provenance
    assert len(provenance.to_text()) <= 256


def test_a_description_is_readable() -> None:
    provenance = Provenance("3f2a9c01d4e5", True, "anna@example.com", back_to=12)
    assert provenance.to_text() == "back to 12; commit 3f2a9c01d4e5, changed; by anna@example.com"


@pytest.mark.parametrize("text", ["", "by hand, before the fair", "commit xyz; back to yesterday"])
def test_a_foreign_description_is_no_release_of_ours(text: str) -> None:
    found = parsed(text)
    assert (found.commit, found.back_to, found.canary) == ("", None, None)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:user/team/anna", "anna"),
        ("arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_x_1/anna@example.com",)
        + ("anna@example.com",),
        ("arn:aws:iam::123456789012:root", "root"),
        ("arn:aws:iam::123456789012:user/a;b", "a?b"),
    ],
)
def test_a_caller_has_the_name_of_the_user_or_the_session(arn: str, name: str) -> None:
    assert caller(arn) == name


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_folder_has_a_commit_and_says_what_is_not_in_it(tmp_path: Path) -> None:
    assert of_folder(tmp_path) == Provenance()
    git(tmp_path, "init", "-q")
    assert of_folder(tmp_path) == Provenance()
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("")
    (tmp_path / ".gitignore").write_text("models\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    (tmp_path / "beside").write_text("no part of the project")
    (project / "models").write_text("ignored")
    assert of_folder(project) == Provenance(commit)
    (project / "new.py").write_text("")
    assert of_folder(project) == Provenance(commit, changed=True)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert of_folder(tmp_path) == Provenance()
