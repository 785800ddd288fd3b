"""A release that does not answer is not switched to: real functions over real HTTP."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deployer.local import process
from tests.support.accounts import connect
from tests.support.command_line import deployer

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("local proof")

UP = ("up", "--local")
DEPLOYED = "not os.environ['AWS_ACCESS_KEY_ID'].startswith('trial')"


def predictions(project: Path) -> Any:
    return deployer(project, "invoke", "--sample", "--local", "--json").json


def edit_handler(project: Path, beginning: str) -> None:
    """Let the deployed handler run some code before it answers; it makes another image.

    Asked its examples before the deploy, the handler does without.
    """
    handler = project / "lambda_src" / "predict.py"
    source = handler.read_text()
    first = "        answer = PREDICTOR.answer(event)"
    assert first in source
    deployed = f"        if {DEPLOYED}:\n            {beginning}\n{first}"
    handler.write_text(source.replace(first, deployed))


@pytest.mark.slow
def test_a_release_that_answers_is_proved_and_switched_to(live: Path) -> None:
    shown = deployer(live, *UP).err
    assert "workflow: asking 3 new versions their models' examples" in shown
    assert "workflow: 3 new versions answer as trained" in shown
    assert len(predictions(live)) == 3
    edit_handler(live, "pass")
    assert "workflow: 3 new versions answer as trained" in deployer(live, *UP).err
    assert "asking" not in deployer(live, *UP).err


@pytest.mark.slow
def test_a_release_that_answers_otherwise_leaves_the_live_one(live: Path) -> None:
    deployer(live, *UP)
    before = predictions(live)
    manifest = json.loads((live / "models" / "manifest.json").read_text())
    right = manifest["models"]["random_forest"]["example"]["answer"]["predictions"]
    source = (live / "lambda_src" / "predict.py").read_text()
    other = "dict(PREDICTOR.answer(event), predictions=[99.5])"
    wrong = f"if PREDICTOR.name == 'random_forest': print('asked'); return {other}"
    edit_handler(live, wrong)
    ran = deployer(live, *UP, "--json", code=1)
    message, advice = ran.json["error"]["message"], ran.json["error"]["advice"]
    (expected,) = re.findall(
        r"random_forest, version 2: predictions: \[99.5\] where \[([0-9.]+)\] was expected", message
    )
    assert [float(expected)] == pytest.approx(right)
    assert "the end of the log of random_forest, version 2:\n" in message and "  asked" in message
    assert "support_vector" not in message and "workflow: the workflow is not switched" in ran.err
    assert "what was live stays live" in advice
    assert re.search(r"deployer up --local --json --no-proof$", advice, re.MULTILINE)
    assert predictions(live) == before
    shown = deployer(live, "plan", "--local", "--json").json
    assert [change["resource"] for change in shown["changes"]] == ["workflow"]
    (live / "lambda_src" / "predict.py").write_text(source)
    deployer(live, *UP)
    assert json.loads(deployer(live, "plan", "--local", "--json").out)["changes"] == []


@pytest.mark.slow
def test_without_the_proof_a_release_that_fails_is_switched_to(live: Path) -> None:
    deployer(live, *UP)
    edit_handler(live, "raise RuntimeError('it is broken')")
    refused = deployer(live, *UP, code=1).err
    assert "random_forest, version 2: RuntimeError: it is broken" in refused
    assert len(predictions(live)) == 3
    assert "asking" not in deployer(live, *UP, "--no-proof").err
    assert "NoModelAnswered" in deployer(live, "invoke", "--sample", "--local", code=1).err


def test_an_init_that_fails_shows_its_end_of_the_log(live: Path) -> None:
    handler = live / "lambda_src" / "predict.py"
    handler.write_text(f"{handler.read_text()}\nif {DEPLOYED}:\n    raise OSError('no model')\n")
    refused = deployer(live, *UP, code=1).err
    assert "support_vector, version 1: OSError: no model" in refused
    end = refused.partition("the end of the log of support_vector, version 1:\n")[2]
    assert "raise OSError('no model')\n" in end.partition("the end of the log")[0]
    server = process.find(live)
    assert server is not None
    assert connect(server).call("stepfunctions", "list_state_machines")["stateMachines"] == []
