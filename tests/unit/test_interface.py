"""The description of an API says what the handlers take and the models answer, no less, no more."""

from __future__ import annotations

import importlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openapi_spec_validator
import pytest
import yaml
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from deployer.errors import ConfigError
from deployer.project.branches import is_shipped, new_workflow, with_branch
from deployer.project.settings import AUTHS, Settings
from deployer.service import rest_contract
from deployer.service.interface import responses
from deployer.service.interface.files import document_text
from deployer.service.interface.openapi import document
from deployer.service.interface.page import obstacle
from deployer.service.interface.reading import Interface, read_interface
from deployer.service.interface.results import made_results, results
from deployer.service.interface.schemas import LARGEST, MAXIMUM_INSTANCES, feature_schema, requests
from tests.support.interfaces import FEATURES, MODELS, ODD, RECORD
from tests.support.projects import ROOT, read_definition

with pytest.MonkeyPatch.context() as patch:  # the handler's modules import one another so
    patch.syspath_prepend(ROOT / "lambda_src")
    names = ("contract", "inputs", "outputs", "signature")
    contract, inputs, outputs, signature = (vars(importlib.import_module(name)) for name in names)

SETTINGS = Settings(project=ROOT)
ENTRIES = {name: {"sha256": "0" * 64, **entry} for name, (_, entry) in MODELS.items()}
COMBINATIONS = [(api, auth) for auth, apis in AUTHS.items() for api in apis]


def interface(entries: Any = ENTRIES, shipped: bool = True, **settings: Any) -> Interface:
    return Interface(replace(SETTINGS, **settings), entries, shipped)


def entry(*features: Any, **members: Any) -> dict[str, Any]:
    named = [{"name": one} if isinstance(one, str) else one for one in features]
    return {"sha256": "0" * 64, "features": named, **members}


def validator(described: Interface, schema: str) -> Draft202012Validator:
    schemas = {**requests(described), **results(described), **responses.schemas(described)}
    whole = {"$ref": f"#/components/schemas/{schema}", "components": {"schemas": schemas}}
    return Draft202012Validator(whole)


def takes(described: Interface, request: Any) -> bool:
    return bool(validator(described, "Request").is_valid(request))


# The document


@pytest.mark.parametrize(("api", "auth"), COMBINATIONS)
@pytest.mark.parametrize("shipped", [True, False])
def test_the_document_is_openapi(api: str, auth: str, shipped: bool) -> None:
    token: dict[str, Any] = {"jwt_issuer": "https://login.example/", "jwt_audience": ("shop",)}
    described = interface(shipped=shipped, api=api, auth=auth, **token)
    openapi_spec_validator.validate(document(described))
    openapi_spec_validator.validate(document(described, "http://127.0.0.1:8000/x/"))


def test_the_schemas_are_schemas() -> None:
    for api in ("http", "rest"):
        for schema in document(interface(api=api))["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("api", "auth"), COMBINATIONS)
def test_who_may_call_is_a_security_scheme(api: str, auth: str) -> None:
    described = document(
        interface(api=api, auth=auth, jwt_issuer="https://login.example/", jwt_audience=("shop",))
    )
    schemes = described["components"].get("securitySchemes", {})
    expected = {
        "none": set(),
        "iam": {("apiKey", "Authorization")},
        "jwt": {("http", None)},
        "key": {("apiKey", "x-api-key")},
    }[auth]
    assert {(one["type"], one.get("name")) for one in schemes.values()} == expected
    assert described.get("security", []) == ([{auth: []}] if expected else [])
    answers = described["paths"]["/"]["post"]["responses"]
    refused = {"none": set(), "iam": {"403"}, "jwt": {"401", "403"}, "key": {"403"}}[auth]
    assert {"401", "403"} & set(answers) == refused
    if auth == "iam":
        assert schemes["iam"]["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_one_of_several_scopes_is_enough() -> None:
    jwt: dict[str, Any] = {"jwt_issuer": "https://login.example/", "jwt_audience": ("shop",)}
    described = document(interface(auth="jwt", jwt_scopes=("ask", "all"), **jwt))
    assert described["security"] == [{"jwt": ["ask"]}, {"jwt": ["all"]}]
    text = described["components"]["securitySchemes"]["jwt"]["description"]
    assert (
        text
        == "A token of https://login.example/, for the audience shop, with the scope ask or all."
    )


def test_every_status_of_the_rest_api_is_described_and_no_other() -> None:
    described = document(interface(api="rest", auth="key"))["paths"]["/"]["post"]["responses"]
    gateway = {status for status, _, _ in rest_contract.GATEWAY_RESPONSES.values() if status}
    # 401 is a token's, and a path that there is never is 404.
    assert set(described) == ({*rest_contract.STATUSES, *gateway} - {"401", "404"})
    assert "x-models-failed" in described["200"]["headers"]
    assert all("x-request-id" in answer["headers"] for answer in described.values())
    assert "of the key" in described["429"]["description"]


def test_a_refused_token_is_explained_in_a_header() -> None:
    jwt: dict[str, Any] = {"jwt_issuer": "https://login.example/", "jwt_audience": ("shop",)}
    described = document(interface(auth="jwt", **jwt))
    answers = described["paths"]["/"]["post"]["responses"]
    assert [status for status in answers if "www-authenticate" in answers[status]["headers"]] == [
        "401"
    ]
    assert set(described["components"]["headers"]) == {"apigw-requestid", "www-authenticate"}


def test_examples_fit_their_schemas() -> None:
    for api, shipped in itertools.product(("http", "rest"), (True, False)):
        described = document(interface(api=api, shipped=shipped))
        resolved = {"components": described["components"]}
        operation = described["paths"]["/"]["post"]
        media = [operation["requestBody"]["content"]["application/json"]]
        media += [one["content"]["application/json"] for one in operation["responses"].values()]
        for one in media:
            examples = [example["value"] for example in one.get("examples", {}).values()]
            examples += [one["example"]] if "example" in one else []
            for example in examples:
                Draft202012Validator({**one["schema"], **resolved}).validate(example)
                if "output" in (example if isinstance(example, dict) else {}):
                    schema = {"$ref": "#/components/schemas/Results", **resolved}
                    Draft202012Validator(schema).validate(json.loads(example["output"]))


def test_the_version_changes_with_the_contract_and_not_with_a_training() -> None:
    first = document(interface())["info"]["version"]
    trained = {
        name: {**one, "sha256": "1" * 64, "metrics": {"r2": 1}} for name, one in ENTRIES.items()
    }
    assert document(interface(trained))["info"]["version"] == first
    assert document(interface(api="rest"))["info"]["version"] != first


def test_the_servers_are_a_pattern_or_the_given_url() -> None:
    described = document(interface(api="rest", region="eu-central-1"))
    (server,) = described["servers"]
    assert server["url"] == "https://{api}.execute-api.{region}.amazonaws.com/live"
    assert server["variables"]["region"]["default"] == "eu-central-1"
    assert document(interface(), "http://x.example/a/")["servers"] == [
        {"url": "http://x.example/a"}
    ]


# Requests


PROBES: list[Any] = [
    0,
    1,
    -1,
    0.5,
    2.0,
    127,
    128,
    -129,
    255,
    256,
    -0.0,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63),
]
PROBES += [3.4e38, 3.5e38, 10**39, True, False, None, "", "north", "text", [], {}, [1]]
KINDS: list[dict[str, Any]] = [
    {},
    {"nullable": True},
    *({"dtype": dtype} for dtype in ("int8", "uint8", "int64", "Int64", "float32", "Float64")),
    {"dtype": "int16", "nullable": True},
    *({"type": "boolean", "dtype": dtype} for dtype in ("bool", "boolean")),
    {"type": "boolean", "nullable": True},
    {"type": "string"},
    {"type": "string", "nullable": True, "categories": ["north"]},
    {"range": [0, 1], "categories": [0, 1]},
]


@pytest.mark.parametrize("kind", KINDS, ids=json.dumps)
def test_a_schema_takes_the_values_that_the_handler_takes(kind: dict[str, Any]) -> None:
    schema = Draft202012Validator(feature_schema([{"name": "x", **kind}]))
    found = {str(value): schema.is_valid(value) for value in PROBES}
    assert found == {str(value): inputs["is_valid"]([value], kind) for value in PROBES}


def test_limits_are_those_of_the_handler() -> None:
    assert (contract["MAXIMUM_INSTANCES"], contract["LARGEST"]) == (MAXIMUM_INSTANCES, LARGEST)


def test_a_request_is_a_record_of_all_features_or_a_batch() -> None:
    described = interface()
    assert takes(described, RECORD) and takes(described, {"instances": [RECORD] * 1000})
    lacking = {name: value for name, value in RECORD.items() if name != ODD}
    for request in (
        {},
        [],
        lacking,
        {**RECORD, "more": 1},
        {"instances": []},
        {"instances": [RECORD] * 1001},
        {"instances": [RECORD], **RECORD},
    ):
        assert not takes(described, request), request


def test_what_is_known_of_a_feature_is_told() -> None:
    properties = requests(interface())["Record"]["properties"]
    assert properties["months"]["x-unit"] == "months" and properties["months"]["x-range"] == [1, 60]
    assert properties["months"]["description"] == "Unit: months. In the training from 1 to 60."
    assert properties["region"]["x-categories"] == FEATURES[0]["categories"]
    assert properties["region"]["description"].startswith(
        "Where the customer lives. In the training"
    )
    assert properties["plan"] == {"type": ["string", "null"]}


def test_unlike_models_take_records_that_are_complete_for_one_of_them() -> None:
    described = interface({"a": entry("x", "y"), "b": entry("y", {"name": "t", "type": "string"})})
    record: Any
    for record in ({"x": 1, "y": 2}, {"y": 1, "t": "s"}, {"x": 1, "y": 2, "t": "s"}):
        assert takes(described, record)
    for record in ({"x": 1}, {"t": "s"}, {}, {"x": 1, "y": 2, "z": 3}, {"x": "s", "y": 2}):
        assert not takes(described, record)
    skipped = {"model": "b", "skipped": "its feature t is not given"}
    answered = {"model": "a", "version": "0" * 12, "predictions": [1.5]}
    assert validator(described, "Results").is_valid([answered, skipped])
    assert "Skipped" not in results(interface())


def test_a_value_must_suit_all_models_that_are_asked() -> None:
    either = {"a": entry("x"), "b": entry({"name": "x", "nullable": True})}
    assert not takes(interface(either), {"x": None})
    unlike = {**either, "c": entry({"name": "x", "nullable": True}, "y")}
    assert takes(interface(unlike), {"x": None, "y": 1})  # only as far as a schema can tell


def test_a_workflow_of_ones_own_takes_and_answers_anything() -> None:
    described = interface(shipped=False, api="rest")
    assert takes(described, [1]) and validator(described, "Results").is_valid("x")
    assert set(requests(described)) == {"Request", "churn_record", "spend_record"}
    operation = document(described)["paths"]["/"]["post"]["responses"]["200"]
    schema = operation["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Results"}


# Examples


def test_the_example_is_made_up_and_in_range() -> None:
    recorded: dict[str, Any] = {
        "instances": [{**RECORD, "months": 59}],
        "answer": {"predictions": ["leaves"]},
    }
    entries = {"churn": {**ENTRIES["churn"], "example": recorded}}
    example = interface(entries).example
    assert example == {
        "region": "north",
        "plan": "text",
        "months": 30,
        "gigabytes": 20.3,
        "vip": False,
        ODD: 0.0,
    }
    assert takes(interface(entries), example)
    assert interface(entries, publish_example=True).example == recorded["instances"][0]
    text = json.dumps(document(interface(entries)))
    assert '"months": 59' not in text and "7.5" not in text


@pytest.mark.parametrize(
    "span", [[100000.01, 100000.02], [-3, -2], [5, 5], [0.1, 0.3], [-1e30, 1e30]]
)
def test_a_made_number_lies_in_its_range(span: list[float]) -> None:
    low, high = span
    assert low <= interface({"a": entry({"name": "x", "range": span})}).example["x"] <= high


def test_made_answers_fit_and_tell_nothing_of_the_training() -> None:
    recorded = {"instances": [{"x": 1}], "answer": {"predictions": [[77.5, "secret"]]}}
    described = interface({"a": entry("x", example=recorded), "b": entry("x")})
    made = made_results(described)
    validator(described, "Results").validate(made)
    assert "77.5" not in str(made) and "secret" not in str(made)


# Answers


ROWS = np.array([[0.0], [1.0], [2.0], [3.0]])
PAIRS = np.array([["a", "u"], ["b", "v"], ["a", "v"], ["b", "u"]])
ESTIMATORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "regressor": (LinearRegression().fit(ROWS, ROWS[:, 0]), {"outputs": ["predict"]}),
    "two targets": (LinearRegression().fit(ROWS, ROWS @ [[1, 2]]), {"targets": ["buy", "rent"]}),
    "strings": (LogisticRegression().fit(ROWS, ["a", "b", "a", "b"]), {"classes": ["a", "b"]}),
    "numbers": (LogisticRegression().fit(ROWS, [0, 1, 2, 1]), {"classes": [0, 1, 2]}),
    "booleans": (LogisticRegression().fit(ROWS, [True, False] * 2), {"classes": [False, True]}),
    "decisions": (
        LinearSVC().fit(ROWS, ["a", "b", "c", "b"]),
        {"outputs": ["predict", "decision_function"], "classes": ["a", "b", "c"]},
    ),
    "several labels": (
        MultiOutputClassifier(LogisticRegression()).fit(ROWS, PAIRS),
        {"classes": [["a", "b"], ["u", "v"]]},
    ),
    "clusters": (KMeans(2, n_init=1, random_state=0).fit(ROWS), {}),
    "outliers": (
        IsolationForest(n_estimators=5, random_state=0).fit(ROWS),
        {"outputs": ["predict", "score_samples"]},
    ),
    "transformer": (StandardScaler().fit(ROWS), {"outputs": ["transform"]}),
    "nothing is told": (LogisticRegression().fit(ROWS, ["a", "b", "a", "b"]), {}),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_model_answers_as_described(name: str) -> None:
    model, members = ESTIMATORS[name]
    described = interface({"m": entry("x", **members)})
    evaluation = outputs["columns"](
        outputs["evaluation"](
            model, signature["Signature"]({"features": [{"name": "x"}], **members})
        )
    )
    answer = {"model": "m", "version": "0" * 12, **evaluation(ROWS[:2])}
    check = validator(described, "Results")
    check.validate([answer])
    check.validate(made_results(described))
    required = results(described)["m_answer"]["required"]
    assert set(required) <= set(answer)
    if members.get("outputs"):
        assert set(answer) - {"model", "version", "classes"} == set(required) - {"model", "version"}
    described_alone = validator(described, "m_answer")
    for wrong in ({**answer, "version": "x"}, {**answer, "model": "n"}, {"model": "m"}):
        assert not described_alone.is_valid(wrong)
    if members.get("classes") == ["a", "b"]:
        assert not described_alone.is_valid({**answer, "predictions": ["c"]})


def test_the_methods_and_members_are_those_of_the_handler() -> None:
    from deployer.service.interface import results as module

    assert outputs["MEMBERS"] == module._MEMBER_OF


# Reading


def test_the_shipped_workflow_is_known_whatever_its_models_and_retries() -> None:
    definition = read_definition("state_machine.json")
    assert is_shipped(definition)
    for name in ("one", "model", "Next"):
        assert is_shipped(json.loads(with_branch(new_workflow(), name)))
    definition["TimeoutSeconds"] = 20
    branch = definition["States"]["Predict"]["Branches"][0]["States"]["linear_regression"]
    branch |= {"Retry": [], "Comment": "mine", "TimeoutSeconds": 7}
    assert is_shipped(definition)
    branch["ResultSelector"] = {"mine.$": "$"}
    assert not is_shipped(definition)


@pytest.mark.parametrize(
    "path", sorted(path.name for path in (ROOT / "docs" / "workflows").glob("*.json"))
)
def test_other_workflows_are_ones_own(path: str) -> None:
    assert not is_shipped(read_definition(f"docs/workflows/{path}"))


def folder(place: Path, manifest: Any) -> Settings:
    (place / "models").mkdir()
    (place / "models" / "manifest.json").write_text(json.dumps(manifest))
    (place / "state_machine.json").write_text(with_branch(new_workflow(), "a"))
    return replace(SETTINGS, project=place)


def test_the_interface_is_read_without_the_models_files(tmp_path: Path) -> None:
    settings = folder(tmp_path, {"format": 2, "models": {"a": entry("x")}})
    described = read_interface(settings)
    assert described.shipped and list(described.models) == ["a"] and described.alike


def test_the_first_format_of_the_manifest_describes_numbers(tmp_path: Path) -> None:
    old = {"models": {"a": entry({"name": "x", "range": [1, 3], "type": "anything"})}}
    described = read_interface(folder(tmp_path, old))
    assert takes(described, {"x": 2}) and not takes(described, {"x": "2"})


def test_all_that_is_wrong_with_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_interface(folder(tmp_path, {"format": 2, "models": {"b": entry("x")}}))
    assert "names ${a}, but models/manifest.json has b" in refused.value.message
    (tmp_path / "models" / "manifest.json").unlink()
    with pytest.raises(ConfigError) as refused:
        read_interface(replace(SETTINGS, project=tmp_path))
    assert "models/manifest.json does not exist" in refused.value.message
    assert refused.value.advice == "train the models first: python train.py"


def test_what_keeps_a_page_from_asking_is_known() -> None:
    assert obstacle(SETTINGS) is None
    assert "cors_origins is empty" in str(obstacle(replace(SETTINGS, cors_origins=())))
    told = str(obstacle(replace(SETTINGS, cors_headers=("x-mine",))))
    assert told.endswith("setup.cfg: cors_headers = x-mine content-type")


TEXTS = ["1e5", "-1.5E3", "0o17", "017", "1_000", "0x1f", "1:30", "on", "No", "null", "~", ""]
TEXTS += ["- x", "a: b", "#c", "'", '"', "{{x}}", "2026-01-31", "=", "!t", "&a", "*", " x "]
TEXTS += ["\u2028", "é🏠", "\n"]


def test_yaml_says_the_same_to_readers_of_both_versions() -> None:
    whole = {"texts": TEXTS, **{text: text for text in TEXTS}, "numbers": [1, 0.5, LARGEST, 1e-7]}
    text = document_text({**whole, "same": [whole["numbers"]] * 2}, "yaml")
    assert "&" not in text.replace("'&a'", "")
    for version, load in (("1.1", yaml.safe_load), ("1.2", YAML(typ="safe", pure=True).load)):
        assert load(text) == {**whole, "same": [whole["numbers"]] * 2}, version
