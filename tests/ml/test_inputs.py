"""What goes in: tables, texts, nulls, booleans, categories, and models with unlike features."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from tests.support.projects import ROOT

ROWS = 120
DRAW = np.random.default_rng(0)
TOWNS = DRAW.choice(["Bonn", "Ulm", "Köln"], ROWS).tolist()
AGES = DRAW.integers(18, 90, ROWS)
MINUTES = np.where(DRAW.uniform(size=ROWS) < 0.2, np.nan, DRAW.normal(300, 50, ROWS))
VIP = DRAW.choice([False, True], ROWS)
LABELS = np.where(AGES + 20 * VIP > 60, "yes", "no")
TOWN: dict[str, Any] = {
    "name": "town",
    "type": "string",
    "nullable": True,
    "categories": ["Bonn", "Köln", "Ulm"],
}
AGE: dict[str, Any] = {"name": "age", "type": "number", "dtype": "int64"}
MINUTE: dict[str, Any] = {"name": "minutes", "type": "number", "nullable": True}
BOOL: dict[str, Any] = {"name": "vip", "type": "boolean"}
RECORDS: list[dict[str, Any]] = [
    {"town": "Ulm", "age": 61, "minutes": 299.5, "vip": True},
    {"town": None, "age": 20, "minutes": None, "vip": 0},
    {"town": "Bonn", "age": 44, "minutes": 310, "vip": 1},
]


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The handler's module, imported beside its own modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        for name in ("contract", "inputs", "outputs", "loading", "fast.deferred"):
            importlib.import_module(name)
        return importlib.import_module("predict")


def served(handler: ModuleType, model: Any, **document: Any) -> Any:
    """Serve a fitted model from a file, as a function does."""
    stream = io.BytesIO()
    joblib.dump(model, stream)
    text = json.dumps({**document, "scikit-learn": sklearn.__version__})
    signature = handler.__dict__["signature"].parse(text.encode())
    loading: Any = importlib.import_module("loading")
    evaluate = loading.load_with_sklearn(stream.getvalue(), signature)
    return handler.predictor("churn", "0" * 12, evaluate, signature)


def refusal(predictor: Any, request: Any) -> str:
    with pytest.raises(Exception) as caught:
        predictor.answer(request)
    assert type(caught.value).__name__ == "InvalidInput", caught.value
    return str(caught.value)


def frame(null: Any, records: list[dict[str, Any]] | None = None) -> pd.DataFrame:
    """The training table, or records, with nulls of one kind in the column of strings."""
    if records is None:
        towns = [null if number % 9 == 0 else town for number, town in enumerate(TOWNS)]
        ages, minutes, vip = AGES.tolist(), MINUTES.tolist(), VIP.tolist()
    else:
        towns = [null if record["town"] is None else record["town"] for record in records]
        ages = [record["age"] for record in records]
        minutes = [np.nan if r["minutes"] is None else float(r["minutes"]) for r in records]
        vip = [bool(record["vip"]) for record in records]
    return pd.DataFrame(
        {"town": pd.Series(towns, dtype="object"), "age": ages, "minutes": minutes, "vip": vip}
    )


def classifier(null: Any, **encoder: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (OneHotEncoder(**encoder), ["town"]),
        (numbers, ["age", "minutes"]),
        ("passthrough", ["vip"]),
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame(null), LABELS)


TABLE: Mapping[str, Any] = {"input": "table", "features": [TOWN, AGE, MINUTE, BOOL]}


@pytest.mark.parametrize(("null", "name"), [(None, "None"), (np.nan, "NaN")])
def test_a_table_is_answered_as_the_frame_of_the_training(
    handler: ModuleType, null: Any, name: str
) -> None:
    model = classifier(null)
    features = [{**TOWN, "null": name}, AGE, MINUTE, BOOL]
    predictor = served(handler, model, input="table", features=features)
    own = frame(null, RECORDS)
    answer = predictor.answer({"instances": RECORDS})
    assert answer["predictions"] == model.predict(own).tolist()
    assert answer["probabilities"] == model.predict_proba(own).tolist()
    assert answer["classes"] == ["no", "yes"]
    for number, record in enumerate(RECORDS):
        (one,) = predictor.answer(record)["probabilities"]
        assert one == model.predict_proba(own.iloc[number : number + 1]).tolist()[0]


def test_whole_numbers_of_an_integer_column_stay_whole(handler: ModuleType) -> None:
    """A pipeline that makes strings of them would else see "61.0"."""
    text = make_pipeline(FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"))
    model = make_pipeline(make_column_transformer((text, ["age"])), LogisticRegression())
    model.fit(pd.DataFrame({"age": AGES}), LABELS)
    predictor = served(handler, model, input="table", features=[AGE])
    expected = model.predict_proba(pd.DataFrame({"age": [61]})).tolist()
    for value in (61, 61.0):
        assert predictor.answer({"age": value})["probabilities"] == expected


def as_text(table: Any) -> Any:
    return table.astype(str)


def test_a_column_of_categories_has_those_of_the_training(handler: ModuleType) -> None:
    column = pd.Series(pd.Categorical(TOWNS))
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5)
    model.fit(pd.DataFrame({"town": column, "age": AGES}), LABELS)
    features = [{**TOWN, "dtype": "category"}, AGE]
    predictor = served(handler, model, input="table", features=features)
    own = pd.DataFrame({"town": pd.Categorical(["Ulm", None], ["Bonn", "Köln", "Ulm"]), "age": 61})
    records = [{"town": "Ulm", "age": 61}, {"town": None, "age": 61}]
    answer = predictor.answer({"instances": records})
    assert answer["probabilities"] == model.predict_proba(own).tolist()
    unknown = predictor.answer({"town": "Rom", "age": 61})["probabilities"]
    assert unknown == answer["probabilities"][1:]  # this model takes it for a missing one


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_pandas_own_dtypes_hold_nulls(handler: ModuleType, dtype: str) -> None:
    values = pd.Series([0, 1, None] * 40, dtype=dtype)
    model = make_pipeline(
        make_column_transformer((SimpleImputer(), ["a"])), LinearRegression()
    ).fit(pd.DataFrame({"a": values}).astype({"a": "Float64"}), AGES)
    kind = "boolean" if dtype == "boolean" else "number"
    document = {"name": "a", "type": kind, "nullable": True, "dtype": "Float64"}
    if kind == "boolean":
        document["type"] = "number"
    predictor = served(handler, model, input="table", features=[document])
    own = pd.DataFrame({"a": pd.Series([None, 1], dtype="Float64")})
    answer = predictor.answer({"instances": [{"a": None}, {"a": 1}]})
    assert answer["predictions"] == model.predict(own).tolist()


def test_null_and_booleans_in_an_array(handler: ModuleType) -> None:
    x = np.column_stack([MINUTES, VIP])
    model = HistGradientBoostingRegressor(max_iter=5).fit(x, AGES)
    predictor = served(handler, model, features=[MINUTE, BOOL])
    records = [{"minutes": None, "vip": True}, {"minutes": 300, "vip": 0}]
    expected = model.predict([[np.nan, 1.0], [300.0, 0.0]]).tolist()
    assert predictor.answer({"instances": records})["predictions"] == expected


def test_a_text_is_answered_as_by_the_pipeline_itself(handler: ModuleType) -> None:
    texts = ["a good day", "bad night", "good fun", "so bad"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    features = [{"name": "text", "type": "string"}]
    predictor = served(handler, model, input="text", features=features)
    answer = predictor.answer({"instances": [{"text": "good"}, {"text": ""}]})
    assert answer["probabilities"] == model.predict_proba(["good", ""]).tolist()
    assert answer["classes"] == [0, 1]
    assert refusal(predictor, {"text": None}) == "text: must be a string, not null"


def test_every_offending_feature_is_named_with_what_it_wants_and_got(handler: ModuleType) -> None:
    predictor = served(handler, classifier(np.nan), **TABLE)
    record = {"town": 3, "age": None, "minutes": "x", "vip": 2, "more": 1}
    assert refusal(predictor, record) == (
        "town: must be a string or null, not number; age: must be a number, not null; "
        "minutes: must be a number or null, not string; vip: must be a boolean, not number; "
        "more: unknown feature"
    )
    batch = {"instances": [RECORDS[0], {**RECORDS[0], "age": True}, {**RECORDS[0], "age": 1e39}]}
    assert refusal(predictor, batch) == (
        "age: must be a number, not boolean (in instance 1); age: larger than 3.4e38 "
        "(in instance 2)"
    )
    assert refusal(predictor, {"town": None}) == "age: missing; minutes: missing; vip: missing"
    assert refusal(predictor, {"instances": [RECORDS[0], 3]}) == (
        "a record must be an object of features, not number (in instance 1)"
    )
    assert refusal(predictor, {}).startswith("town: missing; ")


def test_a_category_is_unknown_only_where_the_encoder_fails(handler: ModuleType) -> None:
    strict = served(handler, classifier(np.nan), **TABLE)
    records = [{**RECORDS[0], "town": town} for town in ("Rom", "Ulm", "Rom", "Pisa\ud800")]
    assert refusal(strict, {"instances": records}) == (
        "town: unknown category 'Rom'; known are 'Bonn', 'Köln', 'Ulm' (in instances 0, 2); "
        "town: unknown category 'Pisa\\ud800'; known are 'Bonn', 'Köln', 'Ulm' (in instance 3)"
    )
    model = classifier(np.nan, handle_unknown="ignore")
    lenient = served(handler, model, **TABLE)
    own = frame(np.nan, records[:1])
    expected = model.predict_proba(own).tolist()
    assert lenient.answer(records[0])["probabilities"] == expected


def test_an_error_of_the_model_that_is_no_category_stays_one(handler: ModuleType) -> None:
    model = LinearRegression().fit(MINUTES[~np.isnan(MINUTES)][:, None], AGES[~np.isnan(MINUTES)])
    predictor = served(handler, model, features=[MINUTE])
    with pytest.raises(ValueError, match="NaN") as caught:
        predictor.answer({"minutes": None})
    assert type(caught.value) is ValueError


def test_other_classes_than_the_manifests_end_the_init(handler: ModuleType) -> None:
    with pytest.raises(Exception, match="the model's classes are .*, but its manifest names"):
        served(handler, classifier(np.nan), **TABLE, classes=["nein", "ja"])


def test_outputs_choose_the_methods_and_targets_name_the_values(handler: ModuleType) -> None:
    model = classifier(np.nan)
    predictor = served(handler, model, **TABLE, outputs=["decision_function"])
    answer = predictor.answer(RECORDS[0])
    assert answer.keys() == {"model", "version", "decisions", "classes"}
    with pytest.raises(Exception, match="Pipeline has no transform"):
        served(handler, model, **TABLE, outputs=["transform"])
    two = LinearRegression().fit(AGES[:, None], np.column_stack([AGES, -AGES]))
    predictor = served(handler, two, features=[{"name": "age"}], targets=["up", "down"])
    answer = predictor.answer({"age": 3})
    assert answer["targets"] == ["up", "down"]
    assert answer["predictions"] == two.predict([[3.0]]).tolist()


OTHERS = {"price": ["rooms", "age"], "text": ["text"]}


@pytest.fixture(scope="module")
def unlike(handler: ModuleType) -> Any:
    """A model of the feature minutes, beside two others of other features."""
    model = HistGradientBoostingRegressor(max_iter=2).fit(MINUTES[:, None], AGES)
    return served(
        handler,
        model,
        features=[
            MINUTE,
        ],
        others=OTHERS,
    )


def test_a_model_answers_if_all_of_its_features_are_given(unlike: Any) -> None:
    alone = unlike.answer({"minutes": 300})["predictions"]
    assert unlike.answer({"minutes": 300, "rooms": "not looked at"})["predictions"] == alone
    batch = {"instances": [{"minutes": 300, "age": 1, "rooms": 2}] * 2}
    assert unlike.answer(batch)["predictions"] == alone * 2


def test_a_model_is_skipped_if_the_record_is_complete_for_another(unlike: Any) -> None:
    assert unlike.answer({"rooms": 1, "age": 2}) == {
        "model": "churn",
        "skipped": "its feature minutes is not given",
    }


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "the record is complete for no model: churn lacks minutes; price lacks rooms, age; "),
        ({"rooms": 1}, "the record is complete for no model: churn lacks minutes; price lacks age"),
        ({"minutes": 1, "floors": 2}, "floors: unknown feature"),
        ({"minutes": "x"}, "churn: minutes: must be a number or null, not string"),
        (
            {"instances": [{"minutes": 1}, {"minutes": 1, "age": 2}]},
            "all records must name the same features, but this differs from the first in age "
            "(in instance 1)",
        ),
        ({"instances": [{"minutes": 1}, 7]}, "a record must be an object of features, not number"),
        ({"instances": [7]}, "a record must be an object of features, not number"),
    ],
)
def test_what_no_model_can_answer_is_refused(unlike: Any, request_: Any, message: str) -> None:
    assert refusal(unlike, request_).startswith(message)


def test_the_workflows_envelope_is_taken_off_once(unlike: Any) -> None:
    plain = unlike.answer({"minutes": 300})
    assert unlike.answer({"execution": "name", "input": {"minutes": 300}}) == plain
    assert "execution: unknown feature" in refusal(unlike, {"execution": 1, "input": {}})
    nested = {"execution": "a", "input": {"execution": "b", "input": {"minutes": 300}}}
    assert "execution: unknown feature" in refusal(unlike, nested)


def test_columns_in_another_order_than_the_trainings_end_the_init(handler: ModuleType) -> None:
    """scikit-learn refuses such a frame; an array would be answered wrongly."""
    table = pd.DataFrame({"age": AGES, "noise": DRAW.normal(size=ROWS)})
    model = LinearRegression().fit(table, AGES)
    with pytest.raises(Exception, match="feature 0 of the deployed manifest is noise, but the mo"):
        served(handler, model, features=[{"name": "noise"}, {"name": "age"}])
    renamed = served(handler, model, features=[{"name": "years"}, {"name": "x"}])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        answer = renamed.answer({"years": 30, "x": 0})
    assert answer["predictions"] == [pytest.approx(30)]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int64", 2**63),
        ("int64", 1.5),
        ("int8", 300),
        ("uint8", -1),
        ("Int64", 0.5),
        ("int64", 1e30),
    ],
)
def test_what_a_column_of_integers_cannot_hold_is_refused(
    handler: ModuleType, dtype: str, value: float
) -> None:
    """Turned into floats, it would change the answers to the other records of a batch."""
    model = make_pipeline(make_column_transformer(("passthrough", ["age"])), LinearRegression())
    model.fit(pd.DataFrame({"age": AGES}), AGES)
    features = [{"name": "age", "type": "number", "dtype": dtype}]
    predictor = served(handler, model, input="table", features=features)
    assert predictor.answer({"age": 7})["predictions"] == [pytest.approx(7)]
    assert refusal(predictor, {"instances": [{"age": 7}, {"age": value}]}) == (
        f"age: must be a whole number that fits into {dtype} (in instance 1)"
    )


def test_a_refusal_stays_short_whatever_the_request(handler: ModuleType, unlike: Any) -> None:
    """Beyond 256 KB it would be lost on its way, and the whole execution with it."""
    strict = served(handler, classifier(np.nan), **TABLE)
    records = [{**RECORDS[0], "town": f"{number}{'x' * 200}"} for number in range(1000)]
    message = refusal(strict, {"instances": records})
    assert len(message) < 10_000
    assert message.endswith(" more problems")
    first = {f"{number}{'y' * 60}": 1 for number in range(19)}
    many = [first, *({f"~{number}": 1} for number in range(999))]
    assert len(refusal(unlike, {"instances": many})) < 10_000
    wide = served(
        handler,
        HistGradientBoostingRegressor(max_iter=1).fit(np.zeros((30, 2000)), np.arange(30)),
        features=[{**MINUTE, "name": f"{number}{'z' * 60}"} for number in range(2000)],
    )
    assert len(refusal(wide, {})) < 10_000


RATES = {"Bonn": 1.0, "Ulm": 2.0}


def rates(table: Any) -> Any:
    return np.array([[RATES[town]] for town in table["town"]])


def test_own_code_that_fails_for_a_made_record_serves_real_ones(handler: ModuleType) -> None:
    model = make_pipeline(FunctionTransformer(rates), LinearRegression())
    model.fit(pd.DataFrame({"town": ["Bonn", "Ulm"] * 5}), [1.0, 2.0] * 5)
    features = [{"name": "town", "type": "string"}]
    predictor = served(handler, model, input="table", features=features)
    assert predictor.answer({"town": "Ulm"})["predictions"] == [pytest.approx(2)]
    with pytest.raises(KeyError):
        predictor.answer({"town": "Rom"})
    known = [{**features[0], "categories": ["Bonn", "Ulm"]}]
    predictor = served(handler, model, input="table", features=known)
    assert "town: unknown category 'Rom'" in refusal(predictor, {"town": "Rom"})


class Lists:
    """A model of somebody else's, whose predict returns a list, or a frame."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def predict(self, rows: Any) -> Any:
        return self.kind([row[0] for row in rows])


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, pd.DataFrame])
def test_predictions_of_any_kind_of_sequence_are_served(handler: ModuleType, kind: Any) -> None:
    predictor = served(handler, Lists(kind), features=[{"name": "a"}])
    expected = [[3.0], [4.0]] if kind is pd.DataFrame else [3.0, 4.0]
    assert predictor.answer({"instances": [{"a": 3}, {"a": 4}]})["predictions"] == expected


def test_an_answer_that_would_be_lost_on_its_way_is_refused(handler: ModuleType) -> None:
    """Sfn-25: 262,144 bytes."""
    texts = [" ".join(f"w{number}" for number in range(start, start + 500)) for start in (0, 500)]
    model = TfidfVectorizer().fit(texts)
    features = [{"name": "text", "type": "string"}]
    predictor = served(handler, model, input="text", features=features)
    assert len(predictor.answer({"text": "w1"})["transformed"][0]) == 1000
    message = refusal(predictor, {"instances": [{"text": "w1"}] * 200})
    assert message.startswith("instances: the answer to 200 records is larger than 262144 bytes")
    wide = TfidfVectorizer().fit([" ".join(f"w{number}" for number in range(140_000))])
    predictor = served(handler, wide, input="text", features=features)
    with pytest.raises(Exception, match="its answer to one record is larger than 262144 bytes"):
        predictor.answer({"text": "w1"})


@pytest.mark.parametrize("targets", [["a", "b", "c"], ["a"] * 2])
def test_targets_of_another_number_are_the_models_failure(
    handler: ModuleType, targets: list[str]
) -> None:
    y = np.column_stack([AGES, AGES]) if len(targets) == 3 else AGES
    predictor = served(
        handler, LinearRegression().fit(AGES[:, None], y), features=[{"name": "x"}], targets=targets
    )
    with pytest.raises(Exception, match="values per record, but its manifest names"):
        predictor.answer({"x": 1})
