"""A plan in a file is applied exactly, or refused because the account or the folder moved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import PlanMoved
from deployer.service import plan_file
from deployer.service.plan_file import check_place, check_same, place_of, read_plan, saved_plan
from deployer.service.release import read_release
from deployer.service.up import plan_release
from tests.support.deployments import Service
from tests.support.serial import SerialExecutor
from tests.support.wire import Account

SECRET = "hunter2-of-somebody-else"


class Planned:
    """A service, and the plan that was made of it in a file."""

    def __init__(self, service: Service, file: Path) -> None:
        self.service = service
        self.aws = service.account.aws()
        self.file = file

    def saved(self) -> Any:
        settings = self.service.settings
        release = read_release(settings, lambda event: None, write=False)
        deployment = plan_release(self.aws, settings, release, SerialExecutor(), lambda event: None)
        return saved_plan(deployment, place_of(settings, None))

    def write(self) -> Any:
        saved = self.saved()
        plan_file.write_plan(self.file, saved)
        return saved

    def check(self) -> None:
        """Do what `up --plan` does before it applies."""
        document = read_plan(self.file)
        check_place(self.file, document, place_of(self.service.settings, None))
        check_same(self.file, document, self.saved())

    def drift(self) -> None:
        function = self.service.settings.function_name("random_forest")
        variables = self.aws.call("lambda", "get_function_configuration", FunctionName=function)[
            "Environment"
        ]["Variables"]
        self.aws.call(
            "lambda",
            "update_function_configuration",
            FunctionName=function,
            MemorySize=512,
            Environment={"Variables": {**variables, "DB_PASSWORD": SECRET}},
        )


@pytest.fixture
def planned(account: Account, one_project: Path, tmp_path: Path) -> Planned:
    project = tmp_path / "project"
    shutil.copytree(one_project, project)
    return Planned(Service(account, project), tmp_path / "plan.json")


def test_a_plan_that_still_holds_is_applied_and_holds_no_more(planned: Planned) -> None:
    planned.write()
    planned.check()
    planned.service.up()
    planned.check()  # it is applied already, so there is nothing to refuse
    planned.drift()
    with pytest.raises(PlanMoved, match=r"(?s)bucket was changed in the account.*and \d+ more"):
        planned.check()
    planned.service.up()
    assert planned.write()["changes"] == []
    planned.check()


def edit_folder(planned: Planned) -> str:
    setup = planned.service.project / "setup.cfg"
    setup.write_text(setup.read_text() + "\n[deployer:random_forest]\nmemory_mb = 2048\n")
    return "function/random_forest is declared otherwise"


def edit_code(planned: Planned) -> str:
    handler = planned.service.project / "lambda_src" / "predict.py"
    handler.write_text(handler.read_text() + "\n# another line\n")
    return "image is declared otherwise"


def drift(planned: Planned) -> str:
    planned.drift()
    return "function/random_forest was changed in the account"


def add_function(planned: Planned) -> str:
    """A branch is taken out, so that a deletion is planned which was not."""
    path = planned.service.project / "state_machine.json"
    definition = json.loads(path.read_text())
    definition["States"]["Predict"]["Branches"].pop()
    path.write_text(json.dumps(definition))
    return "workflow is declared otherwise"


def test_each_way_to_move_is_refused_with_its_reason(planned: Planned) -> None:
    planned.service.up()
    ways: list[Callable[[Planned], str]] = [drift, edit_folder, edit_code]
    for way in (*ways, add_function):
        planned.write()
        planned.check()
        reason = way(planned)
        with pytest.raises(PlanMoved) as refused:
            planned.check()
        assert f"  {reason}" in refused.value.message, way.__name__
        assert "nothing was changed" in refused.value.message
        assert f"python -m deployer plan --out {planned.file}" in refused.value.advice


def test_variables_that_somebody_else_set_are_named_without_their_values(planned: Planned) -> None:
    planned.service.up()
    planned.drift()
    planned.write()
    text = planned.file.read_text()
    assert SECRET not in text and "environment.DB_PASSWORD" in text and "(withheld)" in text
    assert "MemorySize" not in text and '"before": 512' in text
