"""The OpenAPI document is true: programs that know nothing else call both kinds of API by it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.local.conftest import Service
from tests.support.command_line import deployer
from tests.support.interfaces import RECORD
from tests.support.thinning import WHOLE

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("interface")

HERE = Path(__file__).parent
kinds = pytest.mark.parametrize("kind", ["http", "rest"])
# Neither kind of API can say 405: it has one answer to unknown paths and methods, 404.
EXCLUDED = {"rest": "unsupported_method", "http": "unsupported_method,negative_data_rejection"}


def written(service: Service, kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.json"
    options = ("--output", str(path), "--url", service.urls[kind])
    deployer(service.folder, "openapi", *options, environment={"DEPLOYER_API": kind})
    return path


@pytest.mark.slow
@kinds
def test_requests_made_by_the_document_find_nothing(
    service: Service, kind: str, tmp_path: Path
) -> None:
    """Few by default; with TESTS=every more, and every boundary of the schemas."""
    command = [sys.executable, "-c", "import schemathesis.cli; schemathesis.cli.schemathesis()"]
    command += ["run", str(written(service, kind, tmp_path)), "--url", service.urls[kind]]
    command += ["--exclude-checks", EXCLUDED[kind], "--seed", "1", "--generation-database", "none"]
    command += ["--continue-on-failure", "--no-color", "--max-examples", "60" if WHOLE else "12"]
    command += [] if WHOLE else ["--phases", "examples,fuzzing"]
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    environment = {**os.environ, **(hooks if kind == "http" else {})}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "No issues found" in done.stdout and " passed" in done.stdout


def generated(service: Service, kind: str, folder: Path) -> ModuleType:
    """Generate a client, and import it."""
    name = f"{kind}_client"
    (folder / "config.yml").write_text(
        f"post_hooks: []\npackage_name_override: {name}\nproject_name_override: {name}\n"
    )
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(written(service, kind, folder)), "--output-path", str(folder / name)]
    command += ["--config", str(folder / "config.yml"), "--fail-on-warning"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return importlib.import_module(name)


@kinds
def test_a_generated_client_calls_the_api(
    service: Service, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package: Any = generated(service, kind, tmp_path)
    models: Any = importlib.import_module(f"{package.__name__}.models")
    predict: Any = importlib.import_module(f"{package.__name__}.api.default.predict")
    record = models.Record.from_dict(RECORD)
    assert record.months == 12 and record.to_dict() == RECORD
    with package.Client(base_url=service.urls[kind].rstrip("/")) as client:
        for number, body in ((1, record), (2, models.Batch(instances=[record, record]))):
            answer = predict.sync_detailed(client=client, body=body)
            check(kind, models, answer, number)
        record.months = 1.5  # where a whole number is asked for
        refused = predict.sync_detailed(client=client, body=record)
        if kind == "http":
            assert refused.parsed.error == "InvalidInput" and "months" in refused.parsed.cause
            return
        assert refused.status_code == 400 and refused.parsed.error.type_ == "InvalidInput"
        assert "months: must be a whole number" in refused.parsed.error.message
        health: Any = importlib.import_module(f"{package.__name__}.api.default.health")
        assert health.sync(client=client).status == "ok"


def check(kind: str, models: Any, answer: Any, number: int) -> None:
    """Check the answer to a number of records, as the client's own types."""
    assert answer.status_code == 200, answer.content
    if kind == "http":
        assert answer.parsed.status == models.ExecutionStatus.SUCCEEDED
        entries = json.loads(answer.parsed.output)
        churn = models.ChurnAnswer.from_dict(entries[0])
        spend = models.SpendAnswer.from_dict(entries[1])
    else:
        churn, spend = answer.parsed.results
        assert answer.headers["x-request-id"] and "x-models-failed" not in answer.headers
    assert isinstance(churn, models.ChurnAnswer) and isinstance(spend, models.SpendAnswer)
    assert len(churn.predictions) == len(spend.predictions) == number
    assert churn.predictions[0] in ("leaves", "stays")
    assert sum(churn.probabilities[0]) == pytest.approx(1)
