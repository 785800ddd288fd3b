"""docs/models.md: its whole example runs, and its members are those of the schema."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.project.manifest import SCHEMA, violations
from tests.support.command_line import run
from tests.support.projects import ROOT

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_whole_example_trains_a_model_that_is_in_order(project: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    subprocess.run([sys.executable, "-c", program], cwd=project, check=True)
    manifest = json.loads((project / "models" / "manifest.json").read_text())
    assert list(violations(manifest)) == []
    workflow = project / "state_machine.json"
    content = json.loads(workflow.read_text())
    assert len(manifest["models"]) == 4
    branches = content["States"]["Predict"]["Branches"]
    branches.append(json.loads(json.dumps(branches[0]).replace("linear_regression", "churn")))
    workflow.write_text(json.dumps(content))
    requirements = project / "lambda_src" / "requirements.txt"
    pandas = manifest["models"]["churn"]["packages"]["pandas"]
    requirements.write_text(f"{requirements.read_text()}pandas=={pandas}\n")
    result = run(project, "check", "--offline", "--local", code=0)
    assert result.stdout == "check: nothing found\n"
    assert "has no example" not in result.stderr


def test_the_tables_name_the_members_of_the_schema_and_no_other() -> None:
    definitions = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]
    tables = PAGE.partition("## The members")[2].partition("**`array`**")[0]
    of_model, of_feature = tables.split("| member of a feature |")
    for table, name in ((of_model, "model2"), (of_feature, "feature2")):
        rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
        named = {member for row in rows for member in re.findall(r"`(\w+)`", row)}
        members = set(definitions[name]["properties"]) | (
            {"features"} if name == "model2" else set()
        )
        assert named == members


def test_every_estimator_that_numpy_evaluates_is_listed() -> None:
    section = PAGE.partition("## How a model is evaluated")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`([A-Z]\w+)`", section.partition("| family |")[2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        registry = importlib.import_module("fast.registry")
    assert listed == {name for names in registry.ESTIMATORS.values() for name in names}
