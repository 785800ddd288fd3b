"""The handler without AWS: the contract of requests, predictions, loading and downloading."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import math
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from tests.support.handlers import (
    DATA,
    FEATURES,
    NAMES,
    SAMPLE,
    Storage,
    described,
    environment,
    serving,
)
from tests.support.projects import ROOT

TABLE = np.loadtxt(DATA, delimiter=",", skiprows=1)[:, :-1]
EXACT: Any = {"rel": 1e-9, "abs": 1e-9}


def import_handler() -> ModuleType:
    """Import the handler as a new module; without a Lambda runtime it downloads no model."""
    assert "AWS_LAMBDA_RUNTIME_API" not in os.environ
    spec = importlib.util.spec_from_file_location("predict", ROOT / "lambda_src" / "predict.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        spec.loader.exec_module(module)
        module.loading.preload()
        importlib.import_module("debugging")
        importlib.import_module("fast.deferred")
        importlib.import_module("outputs")
        importlib.import_module("inputs")
    return module


@pytest.fixture(scope="module")
def predict() -> ModuleType:
    return import_handler()


class Sum:
    """Adds up the features, and records the shapes of its inputs."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        assert rows.dtype == np.float64
        self.shapes.append(rows.shape)
        total: np.ndarray = rows.sum(axis=1)
        return total


@pytest.fixture(scope="module")
def models(trained: Path) -> dict[str, Any]:
    return {name: joblib.load(trained / f"{name}.joblib") for name in NAMES}


@pytest.fixture(scope="module")
def predictors(predict: ModuleType, models: dict[str, Any]) -> dict[str, Any]:
    return {
        name: predict.Predictor(name, "0123456789ab", model.predict, FEATURES)
        for name, model in models.items()
    }


@pytest.fixture
def small(predict: ModuleType) -> Any:
    """A predictor of the features A, B and C."""
    return predict.Predictor("sum", "0123456789ab", Sum(), ["A", "B", "C"])


def records(table: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(FEATURES, row, strict=True)) for row in table.tolist()]


def refused(predictor: Any, request: Any) -> str:
    """Return the message of the refusal that a request must get."""
    with pytest.raises(ValueError) as caught:
        predictor.answer(request)
    assert type(caught.value).__name__ == "InvalidInput"  # the workflow knows the class by its name
    return str(caught.value)


# Predictions.


def test_importing_the_handler_without_a_runtime_fetches_no_model(predict: ModuleType) -> None:
    assert predict.PREDICTOR is None


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_gets_the_models_own_prediction(
    predictors: dict[str, Any], models: dict[str, Any], name: str
) -> None:
    answer = predictors[name].answer(SAMPLE)
    assert list(answer) == ["model", "version", "predictions"]
    assert (answer["model"], answer["version"]) == (name, "0123456789ab")
    assert answer["predictions"] == pytest.approx(
        models[name].predict([[*SAMPLE.values()]]).tolist(), **EXACT
    )


@pytest.mark.parametrize("size", [1, 2, 506, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gets_the_models_own_predictions_in_its_order(
    predictors: dict[str, Any], models: dict[str, Any], name: str, size: int
) -> None:
    table = np.concatenate([TABLE, TABLE[::-1]])[:size]
    answer = predictors[name].answer({"instances": records(table)})
    assert answer["predictions"] == pytest.approx(models[name].predict(table).tolist(), **EXACT)
    assert json.loads(json.dumps(answer)) == answer


def test_a_batch_of_1000_is_one_call_of_predict(small: Any) -> None:
    small.evaluate.shapes.clear()
    answer = small.answer({"instances": [{"A": n, "B": 2 * n, "C": 0.5} for n in range(1000)]})
    assert small.evaluate.shapes == [(1000, 3)]
    assert answer["predictions"] == [3 * n + 0.5 for n in range(1000)]


def test_the_largest_numbers_that_are_taken_get_an_answer_of_every_model(
    predictors: dict[str, Any],
) -> None:
    """Beyond float32, in which trees compare, one model raises ValueError and another gives inf."""
    largest = float(np.finfo(np.float32).max)
    for predictor in predictors.values():
        for value in (largest, -largest):
            (prediction,) = predictor.answer(dict.fromkeys(FEATURES, value))["predictions"]
            assert np.isfinite(prediction)


def test_a_prediction_that_json_cannot_hold_is_the_models_failure(predict: ModuleType) -> None:
    def endless(rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.where(rows[:, 0] == 0, 0, np.inf)
        return found

    predictor = predict.Predictor("endless", "0123456789ab", endless, ["A"])
    with pytest.raises(predict.ModelError, match="the model's prediction is not a finite number"):
        predictor.answer({"A": 1})


def test_the_first_call_of_predict_is_made_before_any_request(small: Any) -> None:
    assert small.evaluate.shapes == [(1, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_keys_in_a_record_does_not_matter(
    predictors: dict[str, Any], name: str
) -> None:
    turned = dict(reversed(SAMPLE.items()))
    assert list(turned) != list(SAMPLE)
    expected = predictors[name].answer(SAMPLE)
    assert predictors[name].answer(turned) == expected
    assert predictors[name].answer({"instances": [turned, SAMPLE]})["predictions"] == pytest.approx(
        2 * expected["predictions"], **EXACT
    )


# A random forest compares in single precision, so this is as far as all three models reach.
NUMBERS = st.floats(-1e30, 1e30) | st.integers(-(10**30), 10**30)
RECORDS = st.fixed_dictionaries(dict.fromkeys(FEATURES, NUMBERS))


@given(batch=st.lists(RECORDS, min_size=1, max_size=5), shuffle=st.randoms(use_true_random=False))
def test_any_numbers_in_any_order_get_the_models_own_predictions(
    predictors: dict[str, Any], models: dict[str, Any], batch: list[dict[str, float]], shuffle: Any
) -> None:
    shuffled = []
    for record in batch:
        pairs = list(record.items())
        shuffle.shuffle(pairs)
        shuffled.append(dict(pairs))
    rows = np.array([[float(record[feature]) for feature in FEATURES] for record in batch])
    for name in NAMES:
        answer = predictors[name].answer({"instances": shuffled})
        assert answer["predictions"] == pytest.approx(models[name].predict(rows).tolist(), **EXACT)


def test_a_model_of_one_feature_answers(predict: ModuleType) -> None:
    single = predict.Predictor("one", "0123456789ab", Sum(), ["LONG NAME"])
    assert single.answer({"LONG NAME": 4})["predictions"] == [4.0]
    assert single.answer({"instances": [{"LONG NAME": 1.5}, {"LONG NAME": -2}]})["predictions"] == [
        1.5,
        -2.0,
    ]
    assert refused(single, {}) == "LONG NAME: missing"


# Refusals.

BREACHES: list[tuple[Any, str]] = [
    ({}, "A: missing; B: missing; C: missing"),
    ({"A": 1, "C": 1}, "B: missing"),
    ({"A": 1, "B": 1, "C": 1, "Z": 1, "D": 1}, "D: unknown feature; Z: unknown feature"),
    ({"A": 1, "B": 1, "c": 1}, "C: missing; c: unknown feature"),
    ({"A": "1", "B": 1, "C": 1}, "A: must be a number, not string"),
    (
        {"A": True, "B": False, "C": 1},
        "A: must be a number, not boolean; B: must be a number, not boolean",
    ),
    ({"A": 1, "B": None, "C": 1}, "B: must be a number, not null"),
    ({"A": 1, "B": [1], "C": 1}, "B: must be a number, not array"),
    ({"A": 1, "B": 1, "C": {"C": 1}}, "C: must be a number, not object"),
    ({"A": math.nan, "B": 1, "C": 1}, "A: not a finite number"),
    ({"A": math.inf, "B": -math.inf, "C": 1}, "A: not a finite number; B: not a finite number"),
    ({"A": 1, "B": 10**400, "C": 1}, "B: larger than 3.4e38"),
    ({"A": 1e300, "B": -3.5e38, "C": 1}, "A: larger than 3.4e38; B: larger than 3.4e38"),
    (
        {"A": "x", "B": math.nan, "D": 0},
        "A: must be a number, not string; B: not a finite number; C: missing; D: unknown feature",
    ),
    ([], 'the request must be a record or {"instances": [...]}, not array'),
    ("A", 'the request must be a record or {"instances": [...]}, not string'),
    (None, 'the request must be a record or {"instances": [...]}, not null'),
    (True, 'the request must be a record or {"instances": [...]}, not boolean'),
    (1.5, 'the request must be a record or {"instances": [...]}, not number'),
    ({"instances": {"A": 1, "B": 1, "C": 1}}, "instances: must be a list of records, not object"),
    ({"instances": None}, "instances: must be a list of records, not null"),
    ({"instances": []}, "instances: holds 0 records, but 1 to 1000 are allowed"),
    (
        {"instances": [{"A": 1, "B": 1, "C": 1}] * 1001},
        "instances: holds 1001 records, but 1 to 1000 are allowed",
    ),
    (
        {"instances": [{"A": 1, "B": 1, "C": 1}], "signature": "x", "A": 1},
        "beside instances the request must hold nothing, but it holds A, signature",
    ),
    ({"instances": [7]}, "a record must be an object of features, not number"),
    ({"instances": [[1, 2, 3]]}, "a record must be an object of features, not array"),
    ({"instances": [{"A": 1, "B": 1}]}, "C: missing"),
]


@pytest.mark.parametrize(
    ("request_", "message"), BREACHES, ids=[message[:60] for _, message in BREACHES]
)
def test_a_breach_of_the_contract_is_refused_naming_all_that_is_wrong(
    small: Any, request_: Any, message: str
) -> None:
    small.evaluate.shapes.clear()
    assert refused(small, request_) == message
    assert small.evaluate.shapes == []


def test_a_batch_is_refused_naming_each_fault_once_with_the_records_that_have_it(
    small: Any,
) -> None:
    good = {"A": 1, "B": 1, "C": 1}
    batch = [
        good,
        {**good, "A": "x"},
        "no record",
        {**good, "A": "y", "B": None},
        {"A": 1, "B": 1},
        {**good, "D": 1},
    ]
    assert refused(small, {"instances": batch}) == (
        "A: must be a number, not string (in instances 1, 3); "
        "a record must be an object of features, not string (in instance 2); "
        "B: must be a number, not null (in instance 3); "
        "C: missing (in instance 4); "
        "D: unknown feature (in instance 5)"
    )


@pytest.mark.parametrize(
    ("size", "listing"), [(5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more")]
)
def test_at_most_five_records_are_named_for_one_fault(small: Any, size: int, listing: str) -> None:
    message = refused(small, {"instances": [{"A": 1, "B": 1}] * size})
    assert message == f"C: missing (in instances {listing})"


def test_a_batch_that_is_wrong_throughout_gets_a_message_under_10_kilobytes(
    predictors: dict[str, Any],
) -> None:
    values: list[Any] = ["x", None, True, [], {}, math.nan]
    batch: list[Any] = [
        {
            name: values[(place + number) % 7]
            for place, name in enumerate(FEATURES)
            if (place + number) % 7 < 6
        }
        for number in range(999)
    ]
    for number, record in enumerate(batch):
        record[f"{number} unknown of a very long name {'x' * 500}"] = 1
    message = refused(predictors["linear_regression"], {"instances": [*batch, 7]})
    assert len(message.encode()) < 10_000
    assert (
        "CRIM: must be a number, not string (in instances 0, 7, 14, 21, 28 and 138 more); "
        in message
    )
    assert all(f"{name}: missing (in instances " in message for name in FEATURES)
    assert message.endswith("; and 979 more unknown features")
    assert "a record must be an object of features, not number (in instance 999)" in message


@pytest.mark.parametrize(
    ("count", "end"), [(20, "unknown feature"), (21, "; and 1 more unknown features")]
)
def test_at_most_twenty_unknown_features_are_named_each_by_64_characters(
    small: Any, count: int, end: str
) -> None:
    unknown = {f"{number:03}{'x' * 1000}": 0 for number in range(count)}
    message = refused(small, {"A": 1, "B": 1, "C": 1, **unknown})
    named = message.split("; ")[:20]
    assert named == [f"{number:03}{'x' * 61}: unknown feature" for number in range(20)]
    assert message.endswith(end)
    assert len(message) < 2000


def test_what_stands_beside_instances_is_named_up_to_twenty_keys(small: Any) -> None:
    beside = {f"{number:03}{'x' * 1000}": 0 for number in range(100)}
    message = refused(small, {"instances": [], **beside})
    assert message.endswith(f"holds {', '.join(f'{number:03}' + 'x' * 61 for number in range(20))}")


# Loading.


class Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def signature_of(predict: ModuleType, width: int, **members: str) -> Any:
    return predict.signature.parse(described([f"f{n}" for n in range(width)], **members))


@pytest.fixture
def trap(tmp_path: Path) -> tuple[bytes, Path]:
    """A model file that creates another file when it is unpickled, and that file's path."""
    return pickle.dumps(Touch(tmp_path / "unpickled")), tmp_path / "unpickled"


def test_a_model_file_of_the_right_hash_and_version_is_unpickled(
    predict: ModuleType, trap: tuple[bytes, Path]
) -> None:
    with pytest.raises(predict.ModelError, match="neither predict nor transform"):
        predict.loading.load(trap[0], signature_of(predict, 1))
    assert trap[1].exists()


@pytest.mark.parametrize("wrong", ["SHA256", "SIGNATURE_SHA256"])
def test_a_file_of_another_hash_is_refused_before_the_model_is_unpickled(
    handler: ModuleType, trap: tuple[bytes, Path], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    signature = described(["a"])
    variables = environment("a", trap[0], signature)
    found = variables[wrong]
    variables[wrong] = "0" * 64
    storage = Storage(signature, trap[0])
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
    with serving(storage), pytest.raises(handler.ModelError) as caught:
        handler.from_environment(variables)
    what = "model" if wrong == "SHA256" else "signature"
    assert str(caught.value) == f"the {what} file's sha256 is {found}, but {'0' * 64} was deployed"
    assert not trap[1].exists()


@pytest.mark.parametrize(
    "estimator", [LinearRegression(), KNeighborsRegressor()], ids=["numpy", "scikit-learn"]
)
def test_a_model_of_other_features_than_were_deployed_is_refused(
    predict: ModuleType, estimator: Any
) -> None:
    stream = io.BytesIO()
    joblib.dump(estimator.fit(TABLE[:, :12], TABLE[:, 12]), stream)
    content = stream.getvalue()
    with pytest.raises(
        predict.ModelError, match="trained with 12 features, but the deployed manifest names 13"
    ):
        predict.loading.load(content, signature_of(predict, 13))


def test_a_model_that_refuses_zeros_serves_the_rest_and_one_that_is_not_fitted_nothing(
    predict: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluate(rows: np.ndarray) -> np.ndarray:
        if not rows.all():
            raise ValueError("0 is no category")
        return rows[:, 0]

    predictor = predict.Predictor("rooms", "0123456789ab", evaluate, ["A"])
    assert capsys.readouterr().out == (
        "rooms cannot predict a row of zeros, so its first request takes longer: 0 is no category\n"
    )
    assert predictor.answer({"A": 2.0})["predictions"] == [2.0]
    with pytest.raises(NotFittedError):
        predict.Predictor("rooms", "0123456789ab", LinearRegression().predict, ["A"])


def test_a_model_of_another_scikit_learn_is_refused_before_it_is_unpickled(
    predict: ModuleType, trap: tuple[bytes, Path]
) -> None:
    with pytest.raises(predict.ModelError) as caught:
        predict.loading.load(trap[0], signature_of(predict, 1, **{"scikit-learn": "0.24.2"}))
    assert str(caught.value) == (
        f"the model was trained with scikit-learn 0.24.2, but this image has {sklearn.__version__}"
    )
    assert not trap[1].exists()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the handler would have waited between attempts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return []


@pytest.fixture
def handler(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The handler's module with a clock that records waiting instead of waiting."""
    module = import_handler()
    monkeypatch.setattr(
        module.storage,
        "time",
        SimpleNamespace(sleep=waits.append, strftime=time.strftime, gmtime=time.gmtime),
    )
    return module


def fetched(handler: ModuleType) -> bytes:
    with contextlib.closing(handler.storage.Client("a-bucket")) as client:
        content: bytes = handler.storage.fetch(client, "models/a/b.joblib")
    return content


def fetch(handler: ModuleType, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
    with serving(storage):
        content: bytes = fetched(handler)
    return content


def test_an_object_is_fetched_from_the_bucket_and_key(
    handler: ModuleType, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(b"the bytes")
    assert fetch(handler, storage, monkeypatch) == b"the bytes"
    assert storage.paths == ["/a-bucket/models/a/b.joblib"]
    assert waits == []


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_that_is_not_visible_yet_is_asked_for_again(
    handler: ModuleType, waits: list[float], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    storage = Storage(status, status, b"the bytes")
    assert fetch(handler, storage, monkeypatch) == b"the bytes"
    assert len(storage.paths) == 3
    assert len(waits) == 2
    assert 0 < waits[0] < waits[1] < 1


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_that_stays_invisible_is_missing_or_forbidden(
    handler: ModuleType, waits: list[float], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    storage = Storage(status)
    with pytest.raises(handler.storage.NotFetched) as caught:
        fetch(handler, storage, monkeypatch)
    assert str(caught.value) == "s3://a-bucket/models/a/b.joblib is missing or forbidden"
    assert len(storage.paths) == 4
    assert sum(waits) < 5  # an init has ten seconds


def test_a_failure_of_s3_is_a_model_error_that_says_which_one(
    handler: ModuleType, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        handler.storage.NotFetched,
        match=r"cannot read s3://a-bucket/models/a/b.joblib: .*InternalError",
    ):
        fetch(handler, Storage(500), monkeypatch)
    assert len(waits) == 3


def test_an_answer_that_breaks_off_is_a_model_error(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        handler.storage.NotFetched, match="cannot read s3://a-bucket/models/a/b.joblib: "
    ):
        fetch(handler, Storage(b"the by", cut=3), monkeypatch)


def test_an_endpoint_that_nobody_serves_is_a_model_error(
    handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(b"")
    storage.server_close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
    with pytest.raises(
        handler.storage.NotFetched, match="cannot read s3://a-bucket/models/a/b.joblib: "
    ):
        fetched(handler)


def test_the_environment_makes_the_predictor_that_it_describes(
    handler: ModuleType, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (trained / "linear_regression.joblib").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    signature = described()
    storage = Storage(signature, content)
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
    with serving(storage):
        variables = environment("linear_regression", content, signature)
        handler.__dict__["PREDICTOR"] = handler.from_environment(variables)
    answer = handler.handler(SAMPLE, None)
    assert storage.paths == ["/a-bucket/signature", "/a-bucket/key"]
    assert storage.connections == 1
    assert (answer["model"], answer["version"]) == ("linear_regression", digest[:12])
    assert answer["predictions"] == pytest.approx([30.0], abs=1.5)


@pytest.fixture
def said(
    handler: ModuleType, small: Any, capsys: pytest.CaptureFixture[str]
) -> Callable[[Any], Any]:
    """Asks the handler, and returns the line that it logs."""
    handler.__dict__["PREDICTOR"] = small
    context = SimpleNamespace(aws_request_id="1-2")

    def ask(event: Any) -> Any:
        with contextlib.suppress(Exception):
            handler.handler(event, context)
        (line,) = capsys.readouterr().out.splitlines()
        return json.loads(line)

    return ask


def test_one_line_is_logged_about_a_request_without_its_values(
    said: Callable[[Any], Any], small: Any
) -> None:
    record = {"A": 8512.5, "B": 2, "C": 3}
    line = said({"execution": "name", "input": {"instances": [record] * 3}})
    milliseconds = line.pop("ms")
    assert line == {
        "execution": "name",
        "request": "1-2",
        "model": small.name,
        "version": small.version,
        "records": 3,
        "outcome": "answered",
    }
    assert 0 < milliseconds < 60_000
    bare = said(record)
    assert (bare["execution"], bare["records"], bare["outcome"]) == (None, 1, "answered")


@pytest.mark.parametrize(
    ("event", "records"),
    [({"A": "secret"}, 1), (["secret"], 0), ({"instances": "secret"}, 0), (None, 0)],
)
def test_a_refusal_is_logged_without_what_was_refused(
    said: Callable[[Any], Any], event: Any, records: int
) -> None:
    line = said({"execution": "name", "input": event})
    assert (line["outcome"], line["error"]) == ("refused", "InvalidInput")
    assert line["records"] == records
    assert "secret" not in json.dumps(line) and "traceback" not in line


def test_a_failure_is_logged_with_its_traceback_and_no_foreign_words(
    said: Callable[[Any], Any], handler: ModuleType, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(rows: Any) -> Any:
        raise LookupError("no town secret")

    monkeypatch.setattr(small, "evaluate", fail)
    line = said({"A": 1, "B": 2, "C": 3})
    assert (line["outcome"], line["error"]) == ("failed", "LookupError")
    assert "in predict" in line["traceback"] and "in fail" in line["traceback"]
    assert "secret" not in json.dumps({**line, "traceback": ""})
    monkeypatch.setattr(small, "evaluate", lambda rows: handler.math.nan * rows[:, 0])
    line = said({"A": 1, "B": 2, "C": 3})
    assert (line["error"], line["message"]) == (
        "ModelError",
        "the model's prediction is not a finite number",
    )


def test_a_request_is_logged_with_its_values_if_that_is_set(
    said: Callable[[Any], Any], handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "LOG_INPUTS", True)
    assert (
        said({"execution": "e", "input": {"A": "x"}}).items()
        >= {
            "input": {"A": "x"},
            "message": "A: must be a number, not string; B: missing; C: missing",
        }.items()
    )


RECORD = {"A": 1, "B": 2, "C": 3}


@pytest.fixture
def at_level(
    handler: ModuleType, small: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Callable[..., list[str]]:
    """Asks the handler at a level, and returns the lines that it logs."""
    handler.__dict__["PREDICTOR"] = small
    context = SimpleNamespace(aws_request_id="1-2", get_remaining_time_in_millis=lambda: 1234)

    def ask(level: str, event: Any) -> list[str]:
        monkeypatch.setattr(handler, "LOG_LEVEL", level)
        monkeypatch.setattr(handler, "log_answer", handler.answer_logger(level))
        with contextlib.suppress(Exception):
            handler.handler(event, context)
        lines: list[str] = capsys.readouterr().out.splitlines()
        return lines

    return ask


@pytest.mark.parametrize(
    ("level", "outcomes"),
    [
        ("debug", ["answered", "refused", "failed"]),
        ("info", ["answered", "refused", "failed"]),
        ("warning", ["refused", "failed"]),
        ("error", ["failed"]),
    ],
)
def test_each_level_logs_what_the_next_one_logs_and_more(
    at_level: Callable[..., list[str]],
    small: Any,
    monkeypatch: pytest.MonkeyPatch,
    level: str,
    outcomes: list[str],
) -> None:
    lines = [*at_level(level, RECORD), *at_level(level, {"A": 1})]
    monkeypatch.setattr(small, "evaluate", lambda rows: 1 / 0)
    lines += at_level(level, RECORD)
    assert [json.loads(line)["outcome"] for line in lines] == outcomes


def test_debug_says_what_a_request_took_and_none_of_its_values(
    at_level: Callable[..., list[str]], small: Any
) -> None:
    (line,) = at_level("debug", {"A": 8512.5, "B": 2, "C": 3})
    members = json.loads(line)
    answer = {"model": small.name, "version": small.version, "predictions": [1.0]}
    assert members["left_ms"] == 1234 and members["peak_mb"] > 1 and members["nth"] >= 1
    assert abs(members["answer_bytes"] - len(json.dumps(answer))) < 40
    assert "8512" not in line


def test_an_init_says_at_debug_where_its_time_went_and_at_error_nothing(
    handler: ModuleType,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = (trained / "linear_regression.joblib").read_bytes()
    signature = described()
    lines = {}
    for level in ("error", "debug"):
        monkeypatch.setattr(handler, "LOG_LEVEL", level)
        storage = Storage(signature, content)
        monkeypatch.setenv("AWS_ENDPOINT_URL", storage.url)
        with serving(storage):
            handler.from_environment(environment("linear_regression", content, signature))
        lines[level] = capsys.readouterr().out.splitlines()
    assert lines["error"] == []
    evaluated, init = lines["debug"]
    assert evaluated.startswith("linear_regression is evaluated with ")
    members = json.loads(init)
    assert members["init"] == "linear_regression" and members["model_bytes"] == len(content)
    assert members["fetch_ms"] > 0 and members["load_ms"] > 0
    assert members["libraries"]["numpy"] == np.__version__


def test_a_level_that_is_none_ends_the_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(Exception, match="LOG_LEVEL is 'loud', but must be one of debug, info"):
        import_handler()


def test_a_name_that_utf8_cannot_hold_is_refused_like_any_other(small: Any) -> None:
    """A lone surrogate is legal JSON; in the message it would end the runtime's process."""
    for request in ({"\ud800": 1.0}, {"instances": [], "\ud800": 1.0}):
        assert "\\ud800" in refused(small, request).encode("utf-8").decode()
