"""A model's manifest entry: its kind of input, its features, its outputs, and its example.

The structure of the model says what it may take; the model itself decides: it is asked the example
in every way that is possible, and the first one that it answers counts.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.project.inspection.names import Job, check_names, feature_names, names_of
from deployer.project.inspection.records import (
    Feature,
    made_record,
    own_input,
    same,
    shown,
)
from deployer.project.inspection.refusal import Refused
from deployer.project.inspection.structure import (
    Column,
    by_name,
    columns_of,
    is_null,
    takes_texts,
    type_of,
)
from deployer.project.manifest import fits

RECORDS = 5  # of the example, at most, in the manifest
TRIED = 100  # records of the example that the model is asked here
Values = Mapping[str, list[Any]]  # by column


@dataclass
class Conclusion:
    """A model's entry, remarks for the user, and the questions that are open."""

    entry: dict[str, Any]
    remarks: list[str]
    unknown: dict[str, Any]


def conclude(model: Any, job: Job) -> Conclusion:
    """Return what a model takes and gives.

    Raises:
        Refused: it cannot be served, or the example does not fit it.
    """
    check_estimator(model)
    remarks: list[str] = []
    kinds = kinds_of(model, job)
    names, unknown = names_of(model, job, remarks, kinds)
    check_names(names)
    evidence = columns_of(model, len(names))
    if not unknown and not job.columns and kinds[0] == "table":
        open_types = [
            name
            for name, column in zip(names, evidence, strict=True)
            if name not in job.types and column.type is None
        ]
        unknown = {"types": open_types} if open_types else {}
    if unknown:
        return Conclusion({}, remarks, unknown)
    values = {name: job.columns[name][:TRIED] for name in names if name in job.columns}
    asked = Asked(model, names, evidence, job, values)
    entry = asked.entry(kinds, remarks)
    return Conclusion(entry, remarks, {})


def check_estimator(model: Any) -> None:
    """Refuse what is no fitted estimator."""
    kind = type(model).__name__
    if isinstance(model, type):
        raise Refused(f"it holds the class {model.__name__}, not a fitted model")
    if isinstance(model, dict):
        keys = ", ".join(map(str, list(model)[:5]))
        raise Refused(
            f"it holds a dict ({keys}), not a model",
            "save the fitted estimator alone: joblib.dump(model, FILE); steps before it belong "
            "into one Pipeline with it",
        )
    if not hasattr(model, "predict") and not hasattr(model, "transform"):
        raise Refused(
            f"it holds a {kind}, which has neither predict nor transform",
            "a model that cannot answer new records cannot be served",
        )
    if kind in ("Booster", "InferenceSession"):
        raise Refused(
            f"it holds a {kind}, which takes no records",
            "save the estimator of the library's scikit-learn interface, such as XGBClassifier",
        )
    if hasattr(model, "get_params"):
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(model)
        except NotFittedError:
            raise Refused(f"its {kind} is not fitted", "call fit before saving it") from None
        except TypeError:  # an estimator of somebody else's
            return


def kinds_of(model: Any, job: Job) -> list[str]:
    """Return the kinds of input to try, the most likely one first."""
    if takes_texts(model):
        return ["text"]
    if by_name(model):
        return ["table"]
    names = feature_names(model)
    # An example may have further columns, of other models.
    columns = [values for name, values in job.columns.items() if not names or name in names]
    values = [value for column in columns for value in column[:TRIED]]
    strings = any(isinstance(value, str) for value in values)
    strings = strings or "string" in job.types.values()
    width = len(names or ()) or int(getattr(model, "n_features_in_", 0) or 0)
    strings = strings or any(
        column.type == "string" or column.dtype == "category" for column in columns_of(model, width)
    )
    if strings:
        return ["table", "text"] if len(job.columns) == 1 else ["table"]
    return ["array", "table"] if names else ["array"]


class Asked:
    """A model that is asked records, in one kind of input after another."""

    def __init__(
        self, model: Any, names: list[str], evidence: list[Column], job: Job, values: Values
    ) -> None:
        self.model = model
        self.names = names
        self.evidence = evidence
        self.job = job
        self.values = {
            name: self._typed(name, column, values[name])
            for name, column in zip(names, evidence, strict=True)
            if name in values
        }

    def _typed(self, name: str, column: Column, values: list[Any]) -> list[Any]:
        """Return an example's values; as text where the model was trained on text."""
        wanted = self.job.types.get(name) or column.type
        raw = self.job.raw.get(name)
        if wanted == "string" and raw is not None:
            return list(raw[: len(values)])
        if wanted == "string" and type_of([v for v in values if v is not None]) == "boolean":
            return [None if value is None else str(value) for value in values]
        return list(values)

    def entry(self, kinds: Sequence[str], remarks: list[str]) -> dict[str, Any]:
        """Return the manifest entry of the first kind that the model answers.

        Raises:
            Refused: it answers none; with the reason of the first one.
        """
        reason: Exception | None = None
        for kind in kinds:
            if kind == "table" and importlib.util.find_spec("pandas") is None:
                reason = reason or Refused("it takes a table, and pandas is not installed here")
                continue
            for features in self._candidates(kind):
                try:
                    answer = self._example_answer(kind, features)
                except Refused:
                    raise
                except Exception as error:  # of any kind: the model's own code runs
                    reason = reason or error
                    continue
                return self._described(kind, features, answer, remarks)
        assert reason is not None
        if isinstance(reason, Refused):
            raise Refused(str(reason), "python -m pip install pandas") from reason
        if self.values:
            raise Refused(f"it does not answer the example: {_said(reason)}") from reason
        remarks.append(
            f"no example is recorded: the model refuses a made one ({_said(reason)}); "
            "--example FILE gives a real one"
        )
        features = next(self._candidates(kinds[0]))
        return self._described(kinds[0], features, None, remarks)

    def _candidates(self, kind: str) -> Iterator[list[Feature]]:
        """Yield the features, once for each way in which a table may hold strings."""
        strings = [("str", None), ("object", "NaN"), ("object", "None")]
        if kind != "table":
            strings = strings[:1]
        elif not _has_str_dtype():
            strings = strings[1:]
        for dtype, null in strings:
            yield [
                self._feature(kind, name, column, dtype, null)
                for name, column in zip(self.names, self.evidence, strict=True)
            ]

    def _feature(
        self, kind: str, name: str, column: Column, dtype: str, null: str | None
    ) -> Feature:
        values = [value for value in self.values.get(name, ()) if not is_null(value)]
        type_ = self.job.types.get(name) or column.type or type_of(values) or "number"
        if kind == "text":
            type_ = "string"
        if column.type == "number" and type_of(values) == "boolean":
            type_ = "boolean"  # a flag that a scaler or an imputer takes as 0 and 1
        feature: Feature = {"name": name, "type": type_, "nullable": False}
        if kind == "table":
            self._add_dtype(feature, column, dtype, null)
        if column.categories and all(fits(value, type_) for value in column.categories):
            feature["categories"] = column.categories
        if type_ == "number" and len(values) > 1 and kind != "text":
            numbers = [float(value) for value in values if fits(value, "number")]
            if numbers and all(map(math.isfinite, numbers)):
                feature["range"] = [min(numbers), max(numbers)]
        return feature

    def _add_dtype(self, feature: Feature, column: Column, dtype: str, null: str | None) -> None:
        name, values = feature["name"], self.values.get(feature["name"], [])
        if column.dtype == "category" and column.categories:
            feature["dtype"] = "category"
        elif feature["type"] == "string":
            feature["dtype"] = "object" if column.null == "None" else dtype
            chosen = "None" if column.null == "None" else null
            if feature["dtype"] == "object" and chosen is not None:
                feature["null"] = chosen
        elif name in self.job.dtypes:
            feature["dtype"] = self.job.dtypes[name]
        elif feature["type"] == "boolean":
            feature["dtype"] = "object" if any(map(is_null, values)) else "bool"
        else:
            known = values or column.categories or []
            whole = known and all(type(value) is int for value in known)
            feature["dtype"] = "int64" if whole else "float64"

    def _records(self) -> list[dict[str, Any]]:
        count = max(map(len, self.values.values()), default=0)
        return [
            {
                name: None if is_null(values[number]) else values[number]
                for name, values in self.values.items()
            }
            for number in range(count)
        ]

    def _example_answer(self, kind: str, features: list[Feature]) -> dict[str, Any]:
        """Return {"instances", "answer"} of the example, or of a made record.

        The answers are those of the model's own methods to an input that is made here from the
        example itself; the handler's input must get the same.

        Raises:
            Exception: the model refuses the example.
        """
        records = self._records() or [made_record(features)]
        for feature in features:
            feature["nullable"] = any(record[feature["name"]] is None for record in records)
        self._check_types(features, records)
        own = self.ask(own_input(kind, features, records))
        served = self.ask(self.served_input(kind, features, records))
        if not same(own, served):
            raise Refused(
                "the records of the example, sent as JSON, get other answers than the example "
                f"itself: {shown(served)} where the model says {shown(own)}"
            )
        kept = records[:RECORDS]
        return {
            "instances": kept,
            "answer": self.ask(own_input(kind, features, kept)),
            "shape": own,
        }

    def _check_types(self, features: list[Feature], records: list[dict[str, Any]]) -> None:
        for feature in features:
            name, type_ = feature["name"], feature["type"]
            for number, record in enumerate(records, start=1):
                value = record[name]
                if value is not None and not fits(value, type_):
                    raise ValueError(
                        f"record {number}, {name}: {value!r} is no {type_}, as which the model "
                        "takes it"
                    )

    def served_input(self, kind: str, features: list[Feature], records: list[Any]) -> Any:
        import inputs  # of the project's lambda_src/

        columns = [[record[feature["name"]] for record in records] for feature in features]
        return inputs.BUILDERS[kind](columns, features)

    def ask(self, rows: Any) -> dict[str, Any]:
        """Return the members of the model's answer.

        Raises:
            Refused: JSON cannot hold it.
        """
        import contract
        import outputs

        try:
            names = list(outputs.methods(self.model))
        except contract.ModelError as error:
            raise Refused(f"it cannot be served: {error}") from error
        answer: dict[str, Any] = {}
        for name in names:
            result = getattr(self.model, name)(rows)
            if hasattr(result, "columns"):
                raise Refused(
                    f"its {name} returns a DataFrame",
                    'call model.set_output(transform="default") before saving it',
                )
            answer[outputs.MEMBERS[name]] = outputs.plain(result)
        try:
            classes = outputs.classes_of(self.model) if set(names) & outputs.WITH_CLASSES else None
            for member, values in answer.items():
                outputs.check(member, values)
        except contract.ModelError as error:
            raise Refused(f"it cannot be served: {error}") from error
        if classes is not None:
            answer["classes"] = classes
        return answer

    def _described(
        self,
        kind: str,
        features: list[Feature],
        example: dict[str, Any] | None,
        remarks: list[str],
    ) -> dict[str, Any]:
        import outputs

        answer = example.pop("shape") if example else {}
        if example:
            self._find_nullable(kind, features, example["instances"][0])
        for feature in features:
            if not feature["nullable"]:
                feature.pop("null", None)
        entry: dict[str, Any] = {"input": kind, "features": features}
        entry["outputs"] = list(outputs.methods(self.model))
        classes = answer.get("classes") or self._classes()
        if classes:
            entry["classes"] = classes
        targets = self._targets(answer)
        if targets:
            entry["targets"] = targets
        if example:
            entry["example"] = example
        if not self.values and example:
            remarks.append(
                "without --example, the recorded example is a made record: "
                "a real one proves more at the next deploy"
            )
        return entry

    def _classes(self) -> list[Any] | None:
        import contract
        import outputs

        try:
            classes: list[Any] | None = outputs.classes_of(self.model)
        except contract.ModelError as error:
            raise Refused(f"it cannot be served: {error}") from error
        return classes if hasattr(self.model, "predict") else None

    def _targets(self, answer: Mapping[str, Any]) -> list[str]:
        first = (answer.get("predictions") or [None])[0]
        if not isinstance(first, list) or len(first) < 2:
            return []
        if len(self.job.targets) == len(first):
            return self.job.targets
        return [f"target_{number}" for number in range(len(first))]

    def _find_nullable(self, kind: str, features: list[Feature], record: dict[str, Any]) -> None:
        """Mark the features whose null the model was made for, and answers."""
        candidates = [
            feature
            for feature, column in zip(features, self.evidence, strict=True)
            if kind != "text" and column.takes_null and not feature["nullable"]
        ]
        if not candidates:
            return
        for feature in candidates:
            feature["nullable"] = True
        with_null = [{**record, feature["name"]: None} for feature in candidates]
        if self._answers(kind, features, with_null):
            return
        for feature in candidates:
            feature["nullable"] = self._answers(kind, features, [{**record, feature["name"]: None}])

    def _answers(self, kind: str, features: list[Feature], records: list[Any]) -> bool:
        try:
            self.ask(self.served_input(kind, features, records))
        except Exception:  # of any kind: the model's own code runs
            return False
        return True


def _has_str_dtype() -> bool:
    import pandas

    return int(pandas.__version__.partition(".")[0]) >= 3


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
