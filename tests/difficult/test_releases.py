"""Releases: made by each change of what is served, remembered by the account, gone back to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployer.engine.compare import canonical_json
from deployer.engine.plan import Action
from deployer.errors import NotSettled, ProofFailed, ReleaseUnavailable
from deployer.project.canary import decompose
from deployer.project.settings import FunctionSettings
from deployer.service.pruning import prune
from tests.support.deployments import Service
from tests.support.troubles import Script
from tests.support.wire import Account, Answer, Call, Forward, refusal

FOREST = "inference-dev-random-forest"
BUCKET = "inference-dev-123456789012-us-east-1"


def memory(number: int) -> dict[str, Any]:
    """Settings that make another version of each function."""
    return {"defaults": FunctionSettings(memory_mb=1024 + number)}


def deploy(service: Service, releases: int, **overrides: Any) -> None:
    for number in range(releases):
        service.up(**memory(number), **overrides)


@pytest.fixture
def own(account: Account, one_project: Path, tmp_path: Path) -> Service:
    """A service whose project a test may change."""
    shutil.copytree(one_project, tmp_path / "project")
    return Service(account, tmp_path / "project")


def without(service: Service, model: str) -> None:
    """Take a model out of the project."""
    path = service.project / "state_machine.json"
    definition = json.loads(path.read_text())
    branches = definition["States"]["Predict"]["Branches"]
    definition["States"]["Predict"]["Branches"] = [
        branch for branch in branches if model not in branch["States"]
    ]
    path.write_text(json.dumps(definition))
    manifest = service.project / "models" / "manifest.json"
    entries = json.loads(manifest.read_text())
    del entries["models"][model]
    manifest.write_text(json.dumps(entries))


# Making releases


def test_each_change_of_what_is_served_is_a_release(service: Service) -> None:
    _, outputs = service.up()
    assert outputs["release"] == 1
    assert service.up()[0].is_empty
    _, outputs = service.up(**memory(1))
    assert outputs["release"] == 2
    # Logs and the API serve nothing.
    plan, outputs = service.up(**memory(1), log_retention_days=30, burst_limit=7)
    assert not plan.is_empty and outputs["release"] == 2
    newest, oldest = service.releases()
    assert (newest.number, newest.live, oldest.live) == (2, True, False)
    assert newest.changes == [
        f"{name}: memory 1024 MB -> 1025 MB"
        for name in ("linear_regression", "random_forest", "support_vector")
    ]


def test_a_release_says_its_commit_who_made_it_and_what_it_serves(own: Service) -> None:
    for arguments in (
        ["init", "-q"],
        ["add", "train.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=own.project, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=own.project, check=True, capture_output=True, text=True
    ).stdout.strip()
    own.overrides = {"caller": "arn:aws:iam::123456789012:user/anna"}
    own.up()
    (release,) = own.releases()
    document = release.document
    assert (document["by"], document["commit"], document["changed"]) == ("anna", head[:12], True)
    entries = json.loads((own.project / "models" / "manifest.json").read_text())["models"]
    assert document["models"] == {
        name: {
            "version": entry["sha256"][:12],
            "metric": {"rmse": pytest.approx(entry["metrics"]["rmse"], rel=1e-5)},
        }
        for name, entry in entries.items()
    }


def test_a_service_without_releases_gets_one_at_its_next_up(service: Service) -> None:
    """One that an earlier version of the tool has deployed."""
    service.up()
    aws = service.account.aws()
    aws.call(
        "stepfunctions",
        "delete_state_machine_version",
        stateMachineVersionArn=f"{service.settings.workflow_arn}:1",
    )
    with pytest.raises(ReleaseUnavailable, match="there are no releases yet"):
        service.releases()
    plan, outputs = service.up()
    (change,) = plan.effective
    assert [(field.path, field.before, field.after) for field in change.fields] == [
        ("published", False, True)
    ]
    assert outputs["release"] == service.releases()[0].number
    assert service.plan().is_empty


def test_up_warns_when_somebody_else_has_deployed(own: Service, service: Service) -> None:
    own.up()
    service.up(**memory(1), caller="arn:aws:iam::123456789012:user/ben")
    own.up(**memory(2))
    warning = "warning: live is release 2, deployed by ben; this folder saw release 1 last"
    assert any(text.startswith(warning) for text in own.told)
    own.events.clear()
    own.up(**memory(3))
    assert not any("warning" in text for text in own.told)


# Going back


def test_rollback_puts_back_the_whole_graph_as_a_new_release(service: Service) -> None:
    service.up()
    first = service.definition()
    service.up(**memory(1))
    plan, outputs = service.rollback()
    assert [change.key for change in plan.effective] == ["workflow"]
    assert outputs["release"] == 3
    assert canonical_json(service.definition()) == canonical_json(first)
    assert service.releases()[0].document["back_to"] == 1


def test_what_went_back_is_no_drift_and_up_says_so_before_it_goes_forward(
    service: Service,
) -> None:
    deploy(service, 2)
    service.rollback()
    service.events.clear()
    plan = service.plan(**memory(1))
    assert [change.key for change in plan.effective] == ["workflow"]
    assert "live is release 3, back to 1; this folder would make release 4" in service.told
    forward = service.deployment(**memory(1)).forward_from
    assert forward is not None and forward.number == 3
    _, outputs = service.up(**memory(1))
    assert outputs["release"] == 4
    assert service.deployment(**memory(1)).forward_from is None


def test_rollback_goes_back_further_each_time(service: Service) -> None:
    deploy(service, 3)
    origins = []
    for _ in range(2):
        service.rollback()
        origins.append(service.releases()[0].document["back_to"])
    assert origins == [2, 1]
    with pytest.raises(ReleaseUnavailable, match="there is no release before 1 to go back to"):
        service.rollback()


def test_a_workflow_changed_by_hand_goes_back_to_the_newest_release(service: Service) -> None:
    service.up()
    released = service.definition()
    service.account.aws().call(
        "stepfunctions",
        "update_state_machine",
        stateMachineArn=service.settings.workflow_arn,
        definition=json.dumps({**released, "TimeoutSeconds": 5}),
    )
    service.rollback()
    assert canonical_json(service.definition()) == canonical_json(released)


def test_going_back_to_what_is_live_changes_nothing(service: Service) -> None:
    service.up()
    plan, outputs = service.rollback(1)
    assert plan.is_empty and outputs["release"] == 1
    assert "release 1 is what is live already" in service.told


def test_versions_are_proved_before_rollback_switches_to_them(service: Service) -> None:
    deploy(service, 2)
    live = service.definition()
    service.account.calls.clear()
    service.rollback()
    calls = service.account.calls
    switch = next(n for n, call in enumerate(calls) if call.operation == "UpdateStateMachine")
    asked = [n for n, call in enumerate(calls) if call.operation == "Invoke"]
    assert len(asked) == 3 and max(asked) < switch
    service.rollback(2)
    service.account.functions = lambda call: Answer(
        200, {"X-Amz-Function-Error": "Unhandled"}, b'{"errorType": "X", "errorMessage": "broken"}'
    )
    with pytest.raises(Exception, match="not switched") as caught:
        service.rollback(1)
    assert isinstance(caught.value, ProofFailed) or "not answer" in str(caught.value)
    assert canonical_json(service.definition()) == canonical_json(live)


def test_versions_that_lambda_has_put_to_rest_are_woken_before_the_switch(
    service: Service,
) -> None:
    """Lambda-5: the first invocation of an Inactive version is refused."""
    deploy(service, 2)
    asleep = ("ResourceConflictException", "The function is in the Inactive state", 409)
    service.account.troubles = [Script({"Invoke": [asleep] * 3})]
    _, outputs = service.rollback()
    assert outputs["release"] == 3
    assert any("the new version is being prepared" in text for text in service.told)


def test_a_release_that_names_a_function_of_others_is_gone_back_to(own: Service) -> None:
    path = own.project / "state_machine.json"
    original = path.read_text()
    foreign = "arn:aws:lambda:us-east-1:123456789012:function:company-audit:3"
    path.write_text(json.dumps({**json.loads(original), "Comment": f"audited by {foreign}"}))
    own.up()
    path.write_text(original)
    own.up(**memory(1))
    _, outputs = own.rollback()
    assert outputs["release"] == 3 and foreign in raw_definition(own)


def delete_version(service: Service) -> None:
    service.account.aws().call("lambda", "delete_function", FunctionName=FOREST, Qualifier="1")


def delete_model(service: Service) -> None:
    aws = service.account.aws()
    for file in aws.pages(
        "s3", "list_objects_v2", "Contents", Bucket=BUCKET, Prefix="models/random_forest/"
    ):
        aws.call("s3", "delete_object", Bucket=BUCKET, Key=file["Key"])


def delete_image(service: Service) -> None:
    aws = service.account.aws()
    images = aws.pages("ecr", "list_images", "imageIds", repositoryName="inference-dev")
    aws.call("ecr", "batch_delete_image", repositoryName="inference-dev", imageIds=list(images))


@pytest.mark.parametrize(
    ("delete", "reason"),
    [
        (delete_version, f"version 1 of the function {FOREST} is gone"),
        (delete_model, "of random_forest 1 is gone from"),
        (delete_image, "the image of random_forest 1 is gone"),
    ],
)
def test_a_release_of_which_a_part_is_gone_is_refused(
    service: Service, delete: Callable[[Service], None], reason: str
) -> None:
    deploy(service, 2)
    live = service.definition()
    delete(service)
    assert any(reason in line for line in service.releases()[-1].missing)
    with pytest.raises(ReleaseUnavailable, match="release 1 cannot be made live") as caught:
        service.rollback(1)
    assert reason in caught.value.message
    assert service.definition() == live


@pytest.mark.parametrize(
    ("releases", "to", "message"),
    [
        (0, None, "nothing is deployed"),
        (1, None, "there is no release before 1"),
        (1, 7, "there is no release 7; there are 1"),
    ],
)
def test_a_release_that_does_not_exist_is_refused(
    service: Service, releases: int, to: int | None, message: str
) -> None:
    deploy(service, releases)
    service.account.calls.clear()
    with pytest.raises(ReleaseUnavailable, match=message):
        service.rollback(to)
    assert not any(call.writes for call in service.account.calls)


# What kept releases need


def test_what_a_kept_release_needs_is_kept_until_it_is_not_any_more(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    own.up()
    without(own, "random_forest")
    plan, _ = own.up()
    assert not plan.destructive
    kept = "kept for release 1: function/random_forest, logs/random_forest, model/random_forest"
    assert kept in own.told
    assert own.plan().is_empty
    roles = own.account.aws().call(
        "iam",
        "get_role_policy",
        RoleName="inference-dev-us-east-1-workflow",
        PolicyName="invoke",
    )
    assert FOREST in json.dumps(roles["PolicyDocument"])
    own.rollback(1)
    assert "random_forest" in own.releases()[0].models
    # Release 4 takes the place of release 2; release 3 is release 1 again.
    plan, _ = own.up()
    assert not plan.destructive
    plan, _ = own.up(**memory(1))
    gone = [change.key for change in plan.effective if change.action is Action.DELETE]
    assert gone == ["function/random_forest", "logs/random_forest", "model/random_forest"]
    assert own.plan(**memory(1)).is_empty


def versions(service: Service, function: str = FOREST) -> list[str]:
    found = service.account.aws().pages(
        "lambda", "list_versions_by_function", "Versions", FunctionName=function
    )
    return [version["Version"] for version in found if version["Version"] != "$LATEST"]


def stored(service: Service, model: str = "linear_regression") -> tuple[int, int]:
    """Return how many files of one model and how many images the account has."""
    aws = service.account.aws()
    files = aws.pages("s3", "list_objects_v2", "Contents", Bucket=BUCKET, Prefix=f"models/{model}/")
    images = aws.call("ecr", "list_images", repositoryName="inference-dev")["imageIds"]
    return len(list(files)), len({image["imageDigest"] for image in images})


def change_model(service: Service, number: int) -> None:
    """Change the image and one model."""
    from tests.difficult.test_converging import edit_handler

    edit_handler(service.project)


LATER = timedelta(days=2)


def test_what_no_kept_release_needs_goes_after_a_day(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    for number in range(4):
        if number:
            change_model(own, number)
        own.up()
    assert [release.number for release in own.releases()] == [4, 3, 2, 1]
    # Three files: every change of the model is a new one, and the signature stays the same.
    assert (versions(own), stored(own)) == (["1", "2", "3", "4"], (5, 4))
    change_model(own, 4)
    own.up(own.account.aws(later=LATER))
    assert [release.number for release in own.releases()] == [5, 4]
    assert (versions(own), stored(own)) == (["4", "5"], (3, 2))
    assert any(
        text == "deleted what no kept release needs: 3 releases, 9 versions of functions, "
        "3 model files and 3 images"
        for text in own.told
    )
    assert own.plan().is_empty
    own.rollback(4)


def test_a_version_with_an_alias_stays_with_its_model_and_image(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    own.up()
    own.account.aws().call(
        "lambda",
        "create_alias",
        FunctionName="inference-dev-linear-regression",
        Name="mine",
        FunctionVersion="1",
    )
    for number in range(1, 4):
        change_model(own, number)
        own.up(own.account.aws(later=LATER))
    assert versions(own, "inference-dev-linear-regression") == ["1", "3", "4"]
    assert versions(own) == ["3", "4"]
    assert stored(own) == (4, 3)


def name_by_alias(service: Service, release: int) -> None:
    """Make an alias of a release, as somebody else might."""
    version = f"{service.settings.workflow_arn}:{release}"
    service.account.aws().call(
        "stepfunctions",
        "create_state_machine_alias",
        name="mine",
        routingConfiguration=[{"stateMachineVersionArn": version, "weight": 100}],
    )


def test_a_release_with_an_alias_stays(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    own.up()
    name_by_alias(own, 1)
    for number in range(1, 4):
        own.up(own.account.aws(later=LATER), **memory(number))
    assert [release.number for release in own.releases()] == [4, 3, 1]
    assert not any("was not all deleted" in text for text in own.told)  # it is no failure


@pytest.mark.slow
def test_nothing_is_deleted_while_a_list_of_versions_lags(own: Service) -> None:
    """R-6: files and images would seem unused."""
    own.overrides = {"keep_releases": 2}
    deploy(own, 3)
    switched = False

    def lagging(call: Call, forward: Forward) -> Answer | None:
        nonlocal switched
        switched = switched or call.operation == "UpdateStateMachine"
        if not switched or call.operation != "ListVersionsByFunction" or not call.says(FOREST):
            return None
        return refusal(call.service, "ResourceNotFoundException", "Function not found", 404)

    before = stored(own, "random_forest")
    own.account.troubles = [lagging]
    with pytest.raises(NotSettled):  # the second read sees no published version either
        own.up(own.account.aws(later=LATER), **memory(3))
    prune(own.account.aws(later=LATER), own.settings, 4)
    own.account.troubles = []
    assert stored(own, "random_forest") == before
    assert versions(own) == ["1", "2", "3", "4"]


def test_a_release_with_an_alias_keeps_what_it_serves(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    own.up()
    name_by_alias(own, 1)
    for number in range(1, 4):
        change_model(own, number)
        own.up(own.account.aws(later=LATER))
    assert (versions(own), stored(own)) == (["1", "3", "4"], (4, 3))
    own.rollback(1)


def test_canaries_and_ways_back_do_not_push_a_release_out(service: Service) -> None:
    service.overrides = {"keep_releases": 2}
    deploy(service, 3)
    for _ in range(2):
        service.up(service.account.aws(later=LATER), canary=10, **memory(3))
        service.rollback(aws=service.account.aws(later=LATER))
    assert [release.number for release in service.releases()] == [7, 6, 5, 4, 3, 2]
    service.rollback(2)


def test_the_image_of_a_function_that_no_release_names_stays(own: Service) -> None:
    """One that an `up` left behind, or is just creating (ECR-12)."""
    own.overrides = {"keep_releases": 2}
    own.up()
    aws = own.account.aws()
    function = aws.call("lambda", "get_function", FunctionName=FOREST)
    for number in range(1, 4):
        change_model(own, number)
        own.up()
    aws.call(
        "lambda",
        "create_function",
        FunctionName="inference-dev-fraud",
        PackageType="Image",
        Code={"ImageUri": function["Code"]["ImageUri"]},
        Role=function["Configuration"]["Role"],
        Tags=dict(own.settings.tags),
    )
    assert "1 image" in prune(own.account.aws(later=LATER), own.settings, 4)
    images = aws.call("ecr", "list_images", repositoryName="inference-dev")["imageIds"]
    digest = f"sha256:{function['Configuration']['CodeSha256']}"
    assert digest in {image["imageDigest"] for image in images}


def test_a_failure_to_delete_fails_no_deploy(own: Service) -> None:
    own.overrides = {"keep_releases": 2}
    deploy(own, 3)

    def refused(call: Call, forward: Forward) -> Answer | None:
        if call.operation != "DeleteStateMachineVersion":
            return None
        return refusal(call.service, "AccessDeniedException", "not allowed", 403)

    own.account.troubles = [refused]
    own.up(own.account.aws(later=LATER), **memory(3))
    own.account.troubles = []
    assert any("what no kept release needs was not all deleted" in text for text in own.told)
    assert len(own.releases()) == 4
    own.up(own.account.aws(later=LATER), **memory(4))
    assert len(own.releases()) == 2


# Canaries


def test_a_canary_gets_a_share_and_the_live_release_the_rest(service: Service) -> None:
    service.up()
    live = service.definition()
    _, outputs = service.up(canary=10, **memory(1))
    assert outputs["release"] == 2
    canary = decompose(service.definition())
    assert canary is not None
    assert (canary.percent, canonical_json(canary.live)) == (10, canonical_json(live))
    document = service.releases()[0].document
    assert (document["canary"], document["live"]) == (10, True)
    shares = {release.number: release.share for release in service.releases()}
    assert shares == {1: 90, 2: 10}
    assert service.releases()[0].changes == [
        f"{name}: memory 1024 MB -> 1025 MB"
        for name in ("linear_regression", "random_forest", "support_vector")
    ]


def test_step_functions_checks_both_graphs_of_a_canary_before_the_first_write(
    service: Service,
) -> None:
    service.up()
    service.account.calls.clear()
    with service.deployment(canary=10, **memory(1)).workflow_validated():
        pass
    (asked,) = (
        call for call in service.account.calls if call.operation == "ValidateStateMachineDefinition"
    )
    states = json.loads(asked.json["definition"])["States"]
    assert {"live: Predict", "canary: Predict"} <= states.keys()


def test_while_a_canary_runs_plan_says_so_and_up_refuses(service: Service) -> None:
    service.up()
    service.up(canary=10, **memory(1))
    assert service.plan(**memory(1)).is_empty
    assert any("release 2 is a canary: 10 % of the requests" in text for text in service.told)
    plan = service.plan(**memory(2))
    assert "workflow" in [change.key for change in plan.effective]
    for canary in (None, 20):
        with pytest.raises(ReleaseUnavailable, match="release 2 is a canary") as caught:
            service.up(canary=canary, **memory(2))
        assert "promote" in caught.value.advice and "rollback" in caught.value.advice


def test_promote_makes_what_up_would_have_made_to_the_byte(service: Service) -> None:
    service.up()
    service.up(canary=10, **memory(1))
    plan, outputs = service.promote()
    assert [change.key for change in plan.effective] == ["workflow"]
    assert outputs["release"] == 3
    assert service.plan(**memory(1)).is_empty
    assert service.releases()[0].document["promoted_from"] == 2
    promoted = raw_definition(service)
    service.account.reset()
    service.up()
    service.up(**memory(1))
    assert raw_definition(service) == promoted


def raw_definition(service: Service) -> str:
    answer = service.account.aws().call(
        "stepfunctions", "describe_state_machine", stateMachineArn=service.settings.workflow_arn
    )
    return str(answer["definition"])


def test_rollback_takes_a_canary_away_and_goes_back_to_none(service: Service) -> None:
    service.up()
    live = service.definition()
    service.up(canary=10, **memory(1))
    service.rollback()
    assert canonical_json(service.definition()) == canonical_json(live)
    assert service.releases()[0].document["back_to"] == 1
    with pytest.raises(ReleaseUnavailable, match="release 2 was a canary"):
        service.rollback(2)


def test_a_canary_is_taken_away_though_the_release_beside_it_is_gone(service: Service) -> None:
    service.up()
    live = service.definition()
    service.up(canary=10, **memory(1))
    service.account.aws().call(
        "stepfunctions",
        "delete_state_machine_version",
        stateMachineVersionArn=f"{service.settings.workflow_arn}:1",
    )
    service.rollback()
    assert canonical_json(service.definition()) == canonical_json(live)
    assert service.releases()[0].document["back_to"] == 1


@pytest.mark.parametrize("name", ["fresh", "unchanged", "changed by hand"])
def test_a_canary_needs_a_live_release_and_a_difference(service: Service, name: str) -> None:
    if name != "fresh":
        service.up()
    if name == "changed by hand":
        service.account.aws().call(
            "stepfunctions",
            "update_state_machine",
            stateMachineArn=service.settings.workflow_arn,
            definition=json.dumps({**service.definition(), "TimeoutSeconds": 5}),
        )
    message = {
        "fresh": "there is no live release to try another one beside",
        "unchanged": "there is nothing to try: this folder makes what release 1 serves",
        "changed by hand": "the live workflow is no release",
    }[name]
    service.account.calls.clear()
    with pytest.raises(ReleaseUnavailable, match=message):
        service.up(canary=10)
    assert not any(call.writes for call in service.account.calls)


def test_there_is_nothing_to_promote_without_a_canary(service: Service) -> None:
    with pytest.raises(ReleaseUnavailable, match="nothing is deployed"):
        service.promote()
    service.up()
    with pytest.raises(ReleaseUnavailable, match="release 1 is no canary"):
        service.promote()
