"""The answer of a context's verify.py decides whether an image is made."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.errors import BuildError
from deployer.images import build as building
from deployer.images.build import bring, save
from deployer.images.verify import verifying


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return [folder / "one.joblib", folder / "two.joblib"]


@pytest.fixture
def asked(folder, context, models):
    """Give the context a verify.py, and return the context and what was told once it was asked."""

    def ask(program):
        (folder / "verify.py").write_text(program)
        told = []
        with verifying(
            replace(context, base="x"), models, lambda text, lasting=False: told.append(text)
        ) as verified:
            verified()
        return told

    return ask


def test_it_is_asked_about_the_models_that_the_image_serves(asked, models):
    program = "import sys\nassert sys.argv[1:] == [{!r}, 'one', 'two']\n"
    assert asked(program.format(str(models[0].parent))) == ["predictions verified"]


def test_what_differs_is_an_error_line_by_line(asked):
    with pytest.raises(BuildError) as caught:
        asked(
            "print('one: 1.0 where scikit-learn has 2.0')\nprint('two: worse')\nraise SystemExit(1)"
        )
    assert caught.value.message == (
        "the handler of source/ does not predict as the models do:\none: 1.0 where scikit-learn "
        "has 2.0\ntwo: worse"
    )
    assert (
        caught.value.advice == "ENV FAST_PATHS=off in source/Dockerfile leaves all to scikit-learn"
    )


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("", ""),
        ("ENV FAST_PATHS=off", "off"),
        ("ENV A=$LAMBDA_TASK_ROOT FAST_PATHS='off' B=1", "off"),
        ("ENV FAST_PATHS=off\nENV FAST_PATHS=on", "on"),
        ("ENV NO_FAST_PATHS=off", ""),
    ],
)
def test_it_gets_the_switch_of_the_image_and_not_of_this_machine(
    asked, folder, monkeypatch, line, value
):
    monkeypatch.setenv("FAST_PATHS", "of the machine")
    (folder / "Dockerfile").write_text(f'FROM x\n{line}\nCMD ["predict.handler"]\n')
    program = f"import os\nassert os.environ.get('FAST_PATHS', '') == {value!r}\n"
    assert asked(program) == ["predictions verified"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            "import sys\nprint('no scikit-learn here', file=sys.stderr)\nraise SystemExit(2)",
            "no scikit-learn here",
        ),
        ("raise LookupError('lost')", "LookupError: lost"),  # Python's own exit code for that is 1
        ("raise SystemExit(3)", "verify.py ended with 3"),
    ],
)
def test_what_cannot_be_told_is_no_error_but_told(asked, program, reason):
    assert asked(program) == [f"predictions not verified: {reason}"]


def test_a_context_without_one_or_an_image_without_a_base_is_not_asked(folder, context, models):
    with verifying(replace(context, base="x"), models, pytest.fail) as verified:
        verified()
    (folder / "verify.py").write_text("raise SystemExit(1)")
    for unasked, files in ((context, models), (replace(context, base="x"), [])):
        with verifying(unasked, files, pytest.fail) as verified:
            verified()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_ends_with_a_build_that_fails(folder, context, models, tmp_path):
    """And so does what it started."""
    child = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}.'); "
        f"time.sleep(60)"
    )
    (folder / "verify.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
    )
    with pytest.raises(BuildError, match="no room"):
        with verifying(replace(context, base="x"), models, print):
            until = time.monotonic() + 10
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith(
                "."
            ):
                assert time.monotonic() < until
            raise BuildError("no room", "")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()[:-1]}/status")
    while (
        status.exists() and "State:\tZ" not in status.read_text()
    ):  # nobody may have reaped it yet
        assert time.monotonic() < until


def test_one_that_is_ended_by_a_signal_verifies_nothing(asked):
    with pytest.raises(BuildError, match="verify.py was ended by signal 9"):
        asked("import os\nos.kill(os.getpid(), 9)")


@pytest.mark.parametrize("make", ["bring", "save"])
def test_an_image_that_predicts_otherwise_is_neither_pushed_nor_written(
    folder, context, models, monkeypatch, tmp_path, make
):
    monkeypatch.setattr(building, "assemble", lambda given, tell: None)
    monkeypatch.setattr(building, "push", lambda *given: pytest.fail("pushed"))
    (folder / "verify.py").write_text("print('one: wrong')\nraise SystemExit(1)")
    on_a_base = replace(context, base="x")
    with pytest.raises(BuildError, match="one: wrong"):
        if make == "bring":
            bring(
                on_a_base, None, "housing-dev", "direct", lambda text, lasting=False: None, models
            )
        else:
            save(
                on_a_base,
                "x:1",
                tmp_path / "image.tar",
                "direct",
                lambda text, lasting=False: None,
                models,
            )
    assert not (tmp_path / "image.tar").exists()
