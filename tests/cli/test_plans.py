"""`plan` in all its forms, and `graph`, as commands; for an empty account, without a local AWS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployer.engine.saved import is_sound
from tests.support.command_line import deployer


def test_a_plan_has_one_digest_in_every_form(project: Path) -> None:
    ran = deployer(project, "plan", "--local", "--out", "plan.json", "--json", "--cost")
    saved = json.loads((project / "plan.json").read_text())
    assert is_sound(saved) and ran.json["digest"] == saved["digest"]
    assert saved["digest"] in ran.err and "the plan is written to plan.json" in ran.err
    assert [change["resource"] for change in ran.json["changes"]] == [
        change["resource"] for change in saved["changes"]
    ]
    assert ran.json["cost"]["region"] == "us-east-1" and ran.json["cost"]["month"] > 0
    markdown = deployer(project, "plan", "--local", "--markdown", "--out", "plan.json")
    assert saved["digest"] in markdown.out and markdown.out.startswith("### Plan of `inference`")


def test_a_first_plan_says_who_may_call_and_with_full_what_is_created(project: Path) -> None:
    short = deployer(project, "plan", "--local").out
    full = deployer(project, "plan", "--local", "--full").out
    for text in (short, full):
        assert "  ! api: anyone who knows the URL may call POST /" in text
        assert "  ! api: pages of every origin may call it (CORS *)" in text
    assert "authorization" in full and "authorization" not in short


def test_a_plan_trains_first_if_that_is_asked_for(project: Path) -> None:
    variables = {"DEPLOYER_TRAIN": "touch trained && false"}
    deployer(project, "plan", "--local", environment=variables)
    assert not (project / "trained").exists()
    ran = deployer(project, "plan", "--local", "--train", environment=variables, code=1)
    assert (project / "trained").exists() and "touch trained && false" in ran.err


def test_a_region_without_prices_says_so_and_the_plan_stands(project: Path) -> None:
    ran = deployer(project, "plan", "--local", "--cost", "--region", "mars-north-1", "--json")
    assert ran.json["cost"] is None and ran.json["changes"]
    assert "cost: no prices of mars-north-1 are known here" in ran.err


def test_the_cost_follows_the_given_times_and_requests(project: Path) -> None:
    options = ("--cost", "--milliseconds", "100", "--milliseconds", "random_forest=7")
    text = deployer(project, "plan", "--local", *options, "--requests", "2000").out
    assert "random_forest  7 ms at 1024 MB" in text and "support_vector  100 ms" in text
    assert "2k a month" in text


def test_a_file_of_somebody_else_is_never_overwritten(project: Path) -> None:
    before = (project / "setup.cfg").read_text()
    options = {"plan": ("--out",), "graph": ("--format", "tree", "--output")}
    for verb, named in options.items():
        ran = deployer(project, verb, *named, "setup.cfg", "--local", code=1)
        assert "setup.cfg exists and is not a" in ran.err and "it is left alone" in ran.err
    assert (project / "setup.cfg").read_text() == before


@pytest.mark.parametrize("name", ["picture.svg", "picture.mmd", "picture.txt"])
def test_a_picture_may_be_written_again_unless_it_was_changed(project: Path, name: str) -> None:
    path = project / name
    deployer(project, "graph", "--output", name)
    text = path.read_text()
    assert "drawn by python -m deployer graph" in text.splitlines()[-1]
    deployer(project, "graph", "--output", name)
    assert path.read_text() == text
    path.write_text(f"mine\n{text}")
    ran = deployer(project, "graph", "--output", name, code=1)
    assert "it is left alone" in ran.err and path.read_text().startswith("mine")


def test_a_picture_is_printed_in_each_form(project: Path) -> None:
    assert deployer(project, "graph").out.startswith("Predict  Parallel, 3 branches\n├─ linear")
    assert deployer(project, "graph", "--format", "mermaid").out.startswith("flowchart TD\n")
    assert deployer(project, "graph", "--format", "svg").out.startswith("<svg ")
    document = deployer(project, "graph", "--json").json
    assert document["format"] == "tree" and document["output"] is None
    assert document["picture"] == deployer(project, "graph").out


def test_a_workflow_that_cannot_be_drawn_says_all_of_why(project: Path) -> None:
    (project / "state_machine.json").write_text('{"StartAt": "a", "States": {"a": {"Type": "X"}}}')
    ran = deployer(project, "graph", "--json", code=1)
    assert "state_machine.json $.States.a.Type: 'X' is none of" in ran.json["error"]["message"]
    (project / "state_machine.json").unlink()
    assert "does not exist" in deployer(project, "graph", code=1).err


def test_a_stage_that_may_be_misspelt_is_told(project: Path) -> None:
    (project / "setup.cfg").write_text("[deployer]\n[deployer.prod]\nmemory_mb = 512\n")
    said = "setup.cfg has no section of stage prdo; did you mean --stage prod?"
    assert said in deployer(project, "plan", "--local", "--stage", "prdo").err
    assert "did you mean" not in deployer(project, "plan", "--local", "--stage", "prod").err
