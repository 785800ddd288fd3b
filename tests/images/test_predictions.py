"""A context's verify.py decides whether its image may be used."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.aws.waiting import tell_nobody
from deployer.errors import BuildError
from deployer.images.build import build_and_push, build_and_save
from deployer.images.predictions import prediction_check


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    return [folder / "one.joblib", folder / "two.joblib"]


@pytest.fixture
def check(folder, context, models):
    """Run a program as the context's verify.py, and return the messages."""

    def run(program):
        (folder / "verify.py").write_text(program)
        messages = []
        with prediction_check(
            replace(context, base="x"), models, lambda text, lasting=False: messages.append(text)
        ) as finish:
            finish()
        return messages

    return run


def test_it_gets_the_models_that_the_image_serves(check, models):
    program = "import sys\nassert sys.argv[1:] == [{!r}, 'one', 'two']\n"
    assert check(program.format(str(models[0].parent))) == ["predictions verified"]


def test_wrong_predictions_are_an_error_with_a_line_for_each(check):
    with pytest.raises(BuildError) as caught:
        check(
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
def test_the_program_gets_the_switch_of_the_image_not_of_this_machine(
    check, folder, monkeypatch, line, value
):
    monkeypatch.setenv("FAST_PATHS", "of the machine")
    (folder / "Dockerfile").write_text(f'FROM x\n{line}\nCMD ["predict.handler"]\n')
    program = f"import os\nassert os.environ.get('FAST_PATHS', '') == {value!r}\n"
    assert check(program) == ["predictions verified"]


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
def test_a_check_that_cannot_run_is_reported_but_no_error(check, program, reason):
    assert check(program) == [f"predictions not verified: {reason}"]


def test_nothing_is_checked_without_a_program_a_base_or_models(folder, context, models):
    def refuse(text: str, *, lasting: bool = False) -> None:
        pytest.fail(text)

    with prediction_check(replace(context, base="x"), models, refuse) as finish:
        finish()
    (folder / "verify.py").write_text("raise SystemExit(1)")
    for unchecked, files in ((context, models), (replace(context, base="x"), [])):
        with prediction_check(unchecked, files, refuse) as finish:
            finish()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_and_its_children_end_when_the_build_fails(folder, context, models, tmp_path):
    child = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}.'); "
        f"time.sleep(60)"
    )
    (folder / "verify.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
    )
    until = time.monotonic() + 10
    with (
        pytest.raises(BuildError, match="no room"),
        prediction_check(replace(context, base="x"), models, tell_nobody),
    ):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("."):
            assert time.monotonic() < until
        raise BuildError("no room", "")
    status = Path(f"/proc/{(tmp_path / 'pid').read_text()[:-1]}/status")
    # A zombie has ended, too, though nobody has reaped it yet.
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < until


def test_a_killed_check_is_an_error(check):
    with pytest.raises(BuildError, match="verify.py was ended by signal 9"):
        check("import os\nos.kill(os.getpid(), 9)")


class NoEcr:
    """An ECR that nothing may be pushed to."""

    def call(self, service, operation, **parameters):
        pytest.fail(f"called {service} {operation}")


def test_wrong_predictions_keep_an_image_from_being_pushed(folder, context, models):
    (folder / "verify.py").write_text("print('one: wrong')\nraise SystemExit(1)")
    with pytest.raises(BuildError, match="one: wrong"):
        build_and_push(
            replace(context, base="x"), NoEcr(), "housing-dev", "direct", silent, models, no_image
        )


def test_wrong_predictions_keep_an_image_from_being_saved(folder, context, models, tmp_path):
    (folder / "verify.py").write_text("print('one: wrong')\nraise SystemExit(1)")
    target = tmp_path / "image.tar"
    with pytest.raises(BuildError, match="one: wrong"):
        build_and_save(
            replace(context, base="x"), "x:1", target, "direct", silent, models, no_image
        )
    assert not target.exists()


def no_image(context, tell):
    """A builder whose image nobody looks at."""


def silent(text, *, lasting=False):
    """Discard messages."""
