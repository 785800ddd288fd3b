"""Tables and texts without pandas and scikit-learn: the same answers as with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from tests.support.fast_paths import check_equal, dumped, handler, signature

pytestmark = [
    # Twenty iterations are enough for a comparison.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning"),
]

ROWS = 160
DRAW = np.random.default_rng(4)
WORDS = ["alpha", "beta", "gamma", "delta", "the", "of", "and", "A1", "b2", "été", "naïve", "日本"]
TEXTS = [" ".join(DRAW.choice(WORDS, DRAW.integers(0, 12))) for _ in range(ROWS)]
ODD_TEXTS = ["", " the of", "Alpha  alpha BETA", "ß İ ﬁ", "unseen words alone", "a"]
NUMBERS, STRINGS = ["age", "income"], ["city", "plan"]
# How the training held the strings, and whether some were missing.
KINDS = ["objects with None", "objects with NaN", "str", "category", "none missing"]


def frame_of(kind: str) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Return a table of the training, and its features."""
    draw = np.random.default_rng(5)
    columns: dict[str, Any] = {
        "city": draw.choice(
            ["Bonn", "Kyiv", "Lima", "Oslo", "Rome"], ROWS, p=[0.4, 0.3, 0.2, 0.07, 0.03]
        ).astype(object),
        "plan": draw.choice(["basic", "pro"], ROWS).astype(object),
        "age": draw.integers(18, 90, ROWS),
        "income": np.where(draw.uniform(size=ROWS) < 0.1, np.nan, draw.normal(5e4, 1e4, ROWS)),
        "member": draw.uniform(size=ROWS) < 0.5,
        "note": np.array(TEXTS, dtype=object),
    }
    features: dict[str, dict[str, Any]] = {
        "city": {"type": "string"},
        "plan": {"type": "string"},
        "age": {"dtype": "int64"},
        "income": {"nullable": True},
        "member": {"type": "boolean"},
        "note": {"type": "string"},
    }
    for name in STRINGS if kind != "none missing" else []:
        features[name]["nullable"] = True
        null = None if kind == "objects with None" else np.nan
        columns[name][draw.uniform(size=ROWS) < 0.1] = null
        if kind == "objects with None":
            features[name]["null"] = "None"
        if kind in ("str", "category"):
            columns[name] = pd.Series(columns[name]).astype(kind)
            features[name]["dtype"] = kind
        if kind == "category":
            features[name]["categories"] = columns[name].cat.categories.tolist()
    # pandas takes objects that are strings for a column of its own kind, unless it is told.
    frame = pd.DataFrame(
        {
            name: pd.Series(values, dtype=object) if values.dtype == object else values
            for name, values in columns.items()
        }
    )
    return frame, [{"name": name, **member} for name, member in features.items()]


def check_table(model: Any, kind: str, names: list[str] | None = None) -> None:
    """Fit a model, and check whole tables, single records, and unknown strings."""
    frame, features = frame_of(kind)
    wealthy, pro, old = frame.income > 5e4, frame["plan"] == "pro", frame.age > 50
    labels = np.array(["low", "middle", "high"])[(wealthy ^ pro).astype(int) + old.astype(int)]
    names = names or list(frame)
    features = [feature for feature in features if feature["name"] in names]
    frame = frame[[feature["name"] for feature in features]]
    model.fit(frame, labels)
    columns = [
        [None if value is None or value != value else value for value in frame[name].tolist()]
        for name in frame
    ]
    unknown = [
        ["nowhere" if isinstance(value, str) and row % 3 == 0 else value for row, value in pairs]
        for pairs in map(enumerate, columns)
    ]
    tables = [columns, [column[:1] for column in columns], unknown]
    tables += [[column[row : row + 1] for column in columns] for row in (1, 9, 17)]
    described = signature(features, input="table")
    given = [handler().data.table(table, features) for table in tables]
    check_equal(
        model, described, [handler().inputs.table(table, features) for table in tables], given
    )


SCALED = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
ENCODERS: dict[str, Any] = {
    "all": OneHotEncoder(),
    "known": OneHotEncoder(handle_unknown="ignore"),
    "but the first": OneHotEncoder(drop="first", handle_unknown="ignore"),
    "but one of two": OneHotEncoder(drop="if_binary"),
    "frequent": OneHotEncoder(min_frequency=25, handle_unknown="infrequent_if_exist"),
    "frequent but the first": OneHotEncoder(
        max_categories=3, drop="first", handle_unknown="infrequent_if_exist", sparse_output=False
    ),
    "frequent and known": OneHotEncoder(max_categories=3, handle_unknown="ignore"),
    "codes": OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    ),
    "codes of the known": OrdinalEncoder(encoded_missing_value=-2),
    "codes of the frequent": OrdinalEncoder(
        max_categories=3,
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-5,
    ),
}


@pytest.mark.slow(every=5)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ENCODERS)
def test_every_way_to_encode_categories_gives_the_same(name: str, kind: str) -> None:
    columns = ColumnTransformer(
        [("numbers", SCALED, NUMBERS), ("strings", ENCODERS[name], STRINGS)], sparse_threshold=0
    )
    check_table(make_pipeline(columns, LogisticRegression(max_iter=20)), kind)


FILLED: dict[str, dict[str, Any]] = {
    "the most frequent": {"strategy": "most_frequent"},
    "a word": {"strategy": "constant", "fill_value": "missing"},
    "in place of None": {"strategy": "most_frequent", "missing_values": None},
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "objects with None") for name in FILLED),
        *((name, kind) for kind in KINDS[1:4] for name in list(FILLED)[:2]),
    ],
)
def test_missing_strings_are_filled_the_same(name: str, kind: str) -> None:
    filled = make_pipeline(SimpleImputer(**FILLED[name]), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [
            ("numbers", SCALED, NUMBERS),
            ("strings", filled, STRINGS),
            ("flag", "passthrough", ["member"]),
        ]
    )
    forest = RandomForestClassifier(n_estimators=5, random_state=1)
    check_table(make_pipeline(columns, forest), kind)


KNOWN = OneHotEncoder(handle_unknown="ignore")
# Models of a table, with the columns that they take.
TABLES: dict[str, tuple[Callable[[], Any], list[str] | None]] = {
    "numbers alone": (
        lambda: make_pipeline(SimpleImputer(), LogisticRegression(max_iter=20)),
        ["age", "income", "member"],
    ),
    "numbers into histograms": (
        lambda: HistGradientBoostingClassifier(max_iter=5),
        ["age", "income", "member"],
    ),
    "columns by their dtype": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("numbers", SCALED, make_column_selector(dtype_include=np.number)),
                    ("strings", KNOWN, STRINGS),
                ],
                remainder="drop",
            ),
            GradientBoostingClassifier(n_estimators=3),
        ),
        None,
    ),
    "booleans as categories": (
        lambda: make_pipeline(
            ColumnTransformer([("flags", OneHotEncoder(), ["member"])], remainder=SimpleImputer()),
            LogisticRegression(max_iter=20),
        ),
        ["age", "income", "member"],
    ),
    "a function": (
        lambda: make_pipeline(
            ColumnTransformer(
                [("log", FunctionTransformer(np.log1p), ["age"]), ("numbers", SCALED, NUMBERS)]
            ),
            LogisticRegression(max_iter=20),
        ),
        None,
    ),
    "texts among the columns": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("numbers", SCALED, NUMBERS),
                    ("strings", KNOWN, STRINGS),
                    ("words", TfidfVectorizer(), "note"),
                ]
            ),
            LogisticRegression(max_iter=20),
        ),
        None,
    ),
    "a transformation alone": (
        lambda: ColumnTransformer([("numbers", SCALED, NUMBERS), ("strings", KNOWN, STRINGS)]),
        None,
    ),
    "histograms of named categories": (
        lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features=STRINGS),
        [*STRINGS, *NUMBERS, "member"],
    ),
}


@pytest.mark.parametrize("kind", ["objects with None", "category", "none missing"])
@pytest.mark.parametrize("name", TABLES)
def test_every_kind_of_model_of_a_table_answers_the_same(name: str, kind: str) -> None:
    make, names = TABLES[name]
    check_table(make(), kind, names)


def test_categories_of_the_frame_go_the_same_way_through_histograms() -> None:
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    check_table(model, "category", [*STRINGS, *NUMBERS, "member"])


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"dtype": "float32"}, "a column of float32"),
        ({"dtype": "string", "type": "string"}, "a column of string"),
        ({"type": "boolean", "nullable": True, "null": "None"}, "a column of booleans and None"),
    ],
)
def test_columns_that_a_list_does_not_show_are_left_to_pandas(
    members: dict[str, Any], reason: str
) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"a": [1.0, 2.0]}), [0, 1])
    with pytest.raises(handler().unpickling.Unknown, match=reason):
        handler().estimators.load(
            dumped(model), signature([{"name": "a", **members}], input="table")
        )


VECTORIZERS: dict[str, Any] = {
    "words": TfidfVectorizer(),
    "sequences of words": TfidfVectorizer(
        ngram_range=(1, 3), sublinear_tf=True, norm="l1", max_features=60
    ),
    "pairs of words": TfidfVectorizer(
        use_idf=False, norm=None, lowercase=False, stop_words=["alpha"], ngram_range=(2, 2)
    ),
    "without English ones": TfidfVectorizer(stop_words="english", strip_accents="ascii"),
    "characters": TfidfVectorizer(analyzer="char", ngram_range=(2, 4)),
    "characters of words": TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 5), strip_accents="unicode"
    ),
    "whether there": CountVectorizer(binary=True),
    "counted, then weighted": make_pipeline(CountVectorizer(), TfidfTransformer()),
    "side by side": make_union(TfidfVectorizer(), CountVectorizer(analyzer="char")),
}
LINEAR: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=20),
    "vectors": LinearSVC(),
    "stochastic": SGDClassifier(loss="log_loss", random_state=1),
    "multinomial": MultinomialNB(),
    "complement": ComplementNB(),
    "ridge": Ridge(),
}
TEXT = signature([{"name": "text", "type": "string"}], input="text")


@pytest.mark.parametrize(
    ("vectorizer", "linear"),
    [
        *((name, "logistic") for name in VECTORIZERS),
        *(("words", name) for name in list(LINEAR)[1:]),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_texts_are_answered_the_same(vectorizer: str, linear: str, count: int) -> None:
    labels = np.array([len(text) % count for text in TEXTS])
    model = make_pipeline(VECTORIZERS[vectorizer], LINEAR[linear]).fit(TEXTS, labels)
    check_equal(model, TEXT, [TEXTS, ODD_TEXTS, TEXTS[:1], [""]])


PASSED_ON: dict[str, Callable[[], Any]] = {
    "filled first": lambda: make_pipeline(
        ColumnTransformer(
            [
                ("strings", SimpleImputer(strategy="most_frequent"), STRINGS),
                ("numbers", SimpleImputer(), NUMBERS),
            ]
        ),
        ColumnTransformer([("encoded", OneHotEncoder(), [0, 1])], remainder="passthrough"),
    ),
    "passed through": lambda: make_pipeline(
        ColumnTransformer([("strings", "passthrough", STRINGS)]), OneHotEncoder()
    ),
    "by a function": lambda: make_pipeline(FunctionTransformer(), OneHotEncoder()),
}


@pytest.mark.parametrize("name", PASSED_ON)
def test_strings_between_two_stages_are_left_to_scikit_learn(name: str) -> None:
    frame, features = frame_of("none missing")
    model = make_pipeline(PASSED_ON[name](), LogisticRegression(max_iter=20))
    names = [*STRINGS, *NUMBERS] if name == "filled first" else STRINGS
    described = signature([each for each in features if each["name"] in names], input="table")
    labels = (frame["age"] > 50).to_numpy()
    with pytest.raises(handler().unpickling.Unknown, match="strings as numbers|any values"):
        handler().estimators.load(dumped(model.fit(frame[names], labels)), described)


def test_columns_of_another_order_are_left_to_scikit_learn() -> None:
    frame, features = frame_of("none missing")
    model = make_pipeline(ColumnTransformer([("numbers", SCALED, NUMBERS)]), Ridge())
    content = dumped(model.fit(frame, frame["age"]))
    handler().estimators.load(content, signature(features, input="table"))
    with pytest.raises(handler().unpickling.Unknown, match="in another order"):
        handler().estimators.load(content, signature(features[::-1], input="table"))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16"])
def test_functions_of_narrow_columns_are_left_to_numpy(dtype: str) -> None:
    """Of an int8, numpy's logarithm is a float16."""
    frame = pd.DataFrame({"a": np.arange(9, dtype=dtype)})
    model = make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(frame, frame["a"])
    with pytest.raises(handler().unpickling.Unknown, match="less than 64 bits"):
        handler().estimators.load(
            dumped(model), signature([{"name": "a", "dtype": dtype}], input="table")
        )


@pytest.mark.parametrize(
    "vectorizer", [CountVectorizer(dtype=np.float32), TfidfVectorizer(dtype=np.float32)]
)
def test_texts_in_float32_are_left_to_scikit_learn(vectorizer: Any) -> None:
    model = make_pipeline(vectorizer, Ridge()).fit(TEXTS, [len(text) for text in TEXTS])
    with pytest.raises(handler().unpickling.Unknown, match="Vectorizer of float32"):
        handler().estimators.load(dumped(model), TEXT)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            make_pipeline(TfidfVectorizer(tokenizer=str.split, token_pattern=None), Ridge()),
            "builtins.getattr",
        ),
        (
            make_pipeline(TfidfVectorizer(), RandomForestClassifier(n_estimators=2)),
            "a sparse matrix for a stage that takes none",
        ),
        (TfidfVectorizer(), "a sparse matrix as the answer"),
    ],
    ids=["functions", "trees", "alone"],
)
def test_other_models_of_texts_are_left_to_scikit_learn(model: Any, reason: str) -> None:
    content = dumped(model.fit(TEXTS, [len(text) % 2 for text in TEXTS]))
    with pytest.raises(handler().unpickling.Unknown, match=reason):
        handler().estimators.load(content, TEXT)
