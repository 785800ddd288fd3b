"""`status` as text: one screen, at every width."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deployer.project.settings import Settings
from deployer.report.status import print_status
from deployer.resources.stepfunctions import Definition, Version
from deployer.service.contents import FunctionVersion
from deployer.service.metrics import ModelMetrics, ServiceMetrics
from deployer.service.releases import PublishedRelease
from deployer.service.status import Comparison, ServedModel, Status
from tests.support.golden import golden

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 26, 17, 30, tzinfo=timezone.utc)
SETTINGS = Settings(Path("/project"), service="shop", stage="prod").located(
    account="1" * 12, partition="aws", region="eu-central-1"
)
URL = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/"


def served(name: str, metrics: ModelMetrics | None, **configuration: Any) -> ServedModel:
    version = {
        "FunctionArn": f"arn:aws:lambda:eu-central-1:111111111111:function:shop-prod-{name}:7",
        "Version": "7",
        "LastModified": "2026-11-25T09:05:47.948+0000",
        "Environment": {"Variables": {"SHA256": "3f2a9c01d4e5" + "0" * 52}},
        "MemorySize": 1024,
        **configuration,
    }
    return ServedModel(name, FunctionVersion(name, version), metrics)


def status(**members: Any) -> Status:
    release = PublishedRelease(
        Version("arn:14", NOW - timedelta(hours=3)),
        Definition({}, "commit 3f2a9c01d4e5, changed; by anna@example.com"),
    )
    churn = served("churn", ModelMetrics(45678, 0, 2.04, 11.6, 3))
    fraud = served("fraud_detection", ModelMetrics(45678, 12, 48.2, 1912.0, 3000, more=True))
    metrics = ServiceMetrics({}, 45678, 3, 45681, 3, 0, 61.0)
    links = {"workflow": "https://console/workflow", "logs/churn": "https://console/churn"}
    given: dict[str, Any] = {
        "settings": SETTINGS,
        "url": URL,
        "release": release,
        "models": (churn, fraud),
        "comparison": Comparison(None, "models/churn.joblib is missing"),
        "metrics": metrics,
        "unmeasured": "",
        "alarms": ["shop-prod-fraud-detection-errors"],
        "links": links,
    }
    return Status(**{**given, **members})


def shown(width: int, **members: Any) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, markup=False, no_color=True)
    print_status(console, status(**members), NOW)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("width", [120, 80, 40])
def test_a_status_fits_on_a_screen_of_any_width(width: int, request: pytest.FixtureRequest) -> None:
    text = shown(width)
    golden(request, GOLDEN / f"status_{width}.txt", text)
    commands = [line for line in text.splitlines() if "python -m deployer" in line]
    others = [line for line in text.splitlines() if line not in commands]
    assert max(map(len, others)) <= width
    assert len(text.splitlines()) <= {120: 24, 80: 24, 40: 42}[width]


def test_what_is_not_known_is_said(request: pytest.FixtureRequest) -> None:
    text = shown(
        100,
        url=None,
        release=None,
        models=(ServedModel("churn", None, None, gone=("live",)),),
        metrics=None,
        unmeasured="AccessDenied: no identity-based policy allows cloudwatch:GetMetricData",
        alarms="AccessDenied: cloudwatch:DescribeAlarms",
        links={},
    )
    golden(request, GOLDEN / "status_unknown.txt", text)


@pytest.mark.parametrize("width", [120, 40])
def test_both_versions_of_a_canary_are_shown(width: int) -> None:
    live, tried = served("churn", None), served("churn", None, Environment=variables("b" * 64))
    text = shown(width, models=(replace(live, candidate=tried.live),))
    assert re.search(r"3f2a9c01d4e5[^c]*canary:\s+bbbbbbbbbbbb", text)


def variables(sha256: str) -> Any:
    return {"Variables": {"SHA256": sha256}}
