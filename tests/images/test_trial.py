"""Handlers of anybody's, called on this machine with the files that their image will hold."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.trial import Call, Outcome, trial

MODEL = bytes(range(256)) * 40_000  # ten megabytes: boto3 reads it in several ranges
SHA256 = hashlib.sha256(MODEL).hexdigest()


def called(
    folder: Path, handler: str, *, dockerfile: str = "", timeout_s: int = 20, count: int = 1
) -> list[Outcome]:
    """Call a handler, which is the body of a function of `event`."""
    code = folder / "code"
    code.mkdir(exist_ok=True)
    body = textwrap.indent(textwrap.dedent(handler).strip(), "    ")
    (code / "own.py").write_text(f"import os, sys, time\n\ndef handler(event, context):\n{body}\n")
    text = dockerfile or 'FROM scratch\nCOPY own.py ./\nCMD ["own.handler"]\n'
    (code / "Dockerfile").write_text(text)
    model = folder / "model.bin"
    model.write_bytes(MODEL)
    call = Call({"NAME": "a"}, {"models/a.bin": model, "small": b"{}"}, {"x": 1}, timeout_s)
    with trial(Context(code, NO_BASE, "x86_64")) as laid_out:
        return laid_out.call([call] * count)


def test_a_handler_answers_with_its_environment_and_a_context(tmp_path: Path) -> None:
    (outcome,) = called(
        tmp_path,
        """
        print("asked")
        left = context.get_remaining_time_in_millis()
        return {"name": os.environ["NAME"], "x": event["x"], "left": 0 < left <= 20000}
        """,
    )
    assert outcome.answer == {"name": "a", "x": 1, "left": True}
    assert (outcome.error, outcome.log, outcome.asked_others) == ("", ("asked",), False)
    assert outcome.peak_mb is not None and 5 < outcome.peak_mb < 500


@pytest.mark.parametrize(
    "read",
    [
        "body = s3.get_object(Bucket='b', Key='models/a.bin')['Body'].read()",
        "s3.download_file('b', 'models/a.bin', 'a.bin'); body = open('a.bin', 'rb').read()",
    ],
)
def test_a_large_model_is_read_by_boto3_as_from_s3(tmp_path: Path, read: str) -> None:
    """download_file reads it in ranges, several at once."""
    (outcome,) = called(
        tmp_path,
        f"""
        import boto3, hashlib
        s3 = boto3.client("s3")
        {read}
        return {{"sha256": hashlib.sha256(body).hexdigest()}}
        """,
    )
    assert outcome.answer == {"sha256": SHA256}, outcome


def test_another_service_of_aws_is_not_here_and_that_is_known(tmp_path: Path) -> None:
    (outcome,) = called(
        tmp_path,
        """
        import boto3
        return boto3.client("dynamodb").list_tables()
        """,
    )
    assert outcome.error == "ClientError" and "this trial has S3 alone" in outcome.message
    assert outcome.asked_others


def test_folders_of_the_image_in_pythonpath_are_found(tmp_path: Path) -> None:
    (outcome,) = called(
        tmp_path,
        "return 1",
        dockerfile="FROM scratch\nWORKDIR /app\nENV PYTHONPATH=/app/src\nCOPY own.py src/\n"
        'CMD ["own.handler"]\n',
    )
    assert (outcome.answer, outcome.error) == (1, "")


@pytest.mark.parametrize(
    ("handler", "error", "message"),
    [
        ("raise KeyError('town')", "KeyError", "'town'"),
        ("sys.exit('no licence')", "SystemExit", "no licence"),
        ("import not_there", "ModuleNotFoundError", "No module named 'not_there'"),
        ("return float('nan')", "ValueError", "Out of range float values are not JSON"),
        ("os.abort()", "Ended", "its process was ended by signal 6"),
        ("os._exit(3)", "Ended", "its process was ended by itself"),
    ],
)
def test_what_went_wrong_is_said(tmp_path: Path, handler: str, error: str, message: str) -> None:
    (outcome,) = called(tmp_path, handler)
    assert outcome.error == error
    assert outcome.message.startswith(message)


def test_a_handler_that_takes_too_long_is_ended_whatever_it_ignores(tmp_path: Path) -> None:
    outcomes = called(
        tmp_path,
        """
        import signal
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(0.1)
        """,
        timeout_s=1,
        count=3,
    )
    assert [outcome.error for outcome in outcomes] == ["Timeout"] * 3
    assert outcomes[0].message == "no answer within 1 s"


def test_a_command_that_is_no_handler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="CMD own is no handler: MODULE.FUNCTION"):
        called(tmp_path, "return 1", dockerfile='FROM scratch\nCOPY own.py ./\nCMD ["own"]\n')


def test_no_folder_and_no_process_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found: list[Any] = called(
        tmp_path,
        """
        import subprocess
        return subprocess.Popen(["sleep", "60"]).pid
        """,
    )
    assert list(scratch.iterdir()) == []
    assert not Path(f"/proc/{found[0].answer}/fd").is_dir() or not list(
        Path(f"/proc/{found[0].answer}/fd").iterdir()
    )
