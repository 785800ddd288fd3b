"""Each patch of botocore does what it is for. Every test here fails without its patch."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from deployer.aws.access import Aws
from deployer.aws.botocore_patches import (
    KNOWN,
    NoTerminal,
    ask_on_terminals_only,
    check_answers,
    fetch_pages_with,
    know_services,
)
from deployer.aws.foreign_answers import ForeignAnswer
from deployer.errors import AwsError
from tests.support.projects import ROOT
from tests.support.stub import Quiet, serve

PAGE = b"<!DOCTYPE html>\n<html><body>Sign in to the hotel's network</body></html>"


@pytest.fixture
def core() -> Any:
    """A session of botocore, of which nothing is patched yet."""
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    return session


def client(core: Any, service: str, url: str | None = None) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return core.create_client(service, "us-east-1", endpoint_url=url, config=config)


def test_no_folder_is_searched_for_the_services_that_the_deployer_calls(core: Any) -> None:
    """botocore would list the folders of all services, for each kind of file, for each thread."""
    loader = core.get_component("data_loader")
    searched = []

    def search(type_name: str) -> list[str]:
        searched.append(type_name)
        return ["sso"]

    loader.list_available_services = search
    know_services(core)
    for service in KNOWN:
        made = client(core, service)
        made.can_paginate(next(iter(made.meta.method_to_api_mapping)))  # reads another kind of file
    assert searched == []
    services = loader.list_available_services("service-2")
    assert "sso" in services and "no-such-service" not in services
    assert list(services) == ["sso"]


class HotelPage(Quiet):
    def handle_any(self) -> None:
        self.body()
        self.answer(200, PAGE, {"Content-Type": "text/html"})


def test_a_page_of_a_hotel_is_not_an_answer_of_aws(core: Any) -> None:
    """tests/unit/test_signin.py has the other answers that are not AWS's."""
    check_answers(core)
    with serve(HotelPage) as url, pytest.raises(ForeignAnswer, match="HTTP 200 with an HTML page"):
        client(core, "lambda", url).list_functions()


def test_no_mfa_code_is_asked_for_without_a_terminal(
    core: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """getpass would read it from the terminal that started the process, or from stdin."""
    config = tmp_path / "config"
    config.write_text(
        "[profile keys]\naws_access_key_id = A\naws_secret_access_key = s\n"
        "[profile mine]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = keys\n"
        "mfa_serial = arn:aws:iam::1:mfa/me\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    session = botocore.session.Session(profile="mine")
    ask_on_terminals_only(session)
    with pytest.raises(NoTerminal, match="a code of an MFA device is asked for"):
        session.get_credentials().get_frozen_credentials()


def test_a_page_that_failed_can_be_fetched_again_and_the_listing_goes_on(core: Any) -> None:
    logs = client(core, "logs")
    paginator = logs.get_paginator("describe_log_groups")
    answers: Iterator[Any] = iter([{"logGroups": [1], "nextToken": "t"}, {"logGroups": [2]}])
    fetch_pages_with(paginator, lambda **parameters: next(answers))
    with Stubber(logs):  # without an answer of its own
        pages = [page["logGroups"] for page in paginator.paginate()]
    assert pages == [[1], [2]]


def test_a_service_that_is_not_known_is_found_when_it_is_asked_for() -> None:
    aws = Aws(region="us-east-1", credentials=("key", "secret"))
    assert aws.client("cloudwatch").meta.service_model.service_name == "cloudwatch"


def test_a_service_that_botocore_does_not_have_is_named_in_one_short_line() -> None:
    aws = Aws(region="us-east-1", credentials=("key", "secret"))
    with pytest.raises(AwsError) as caught:
        aws.client("no-such-service")
    version = botocore.__version__
    assert type(caught.value) is AwsError  # the credentials are not to blame
    assert caught.value.message == (
        f"UnknownService: botocore {version} does not know the service no-such-service"
    )
    assert "boto3" in caught.value.advice


CALLS = {"call", "call_once", "find", "pages", "client"}


def test_every_service_that_the_deployer_calls_is_known() -> None:
    """A service that is missing in KNOWN makes each run slower, and nothing else would show it."""
    called = set()
    for path in (ROOT / "deployer").rglob("*.py"):
        if "local" in path.relative_to(ROOT / "deployer").parts:
            continue  # the local AWS is another program
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                texts = [text.value for text in node.args if isinstance(text, ast.Constant)]
                services = [text for text in texts if isinstance(text, str) and "_" not in text]
                if node.func.attr in CALLS and services:
                    called.add(services[0])
    assert called - set(KNOWN) == set(), "add them to KNOWN in deployer/aws/botocore_patches.py"
    assert set(KNOWN) - called == set(), "no longer called"
