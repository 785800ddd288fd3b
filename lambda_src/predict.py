"""The one handler of every model: what differs between functions is in their environment.

    MODEL                 the model's name, repeated in each answer
    BUCKET, KEY           where its joblib file lies in S3
    SHA256                what that file must hash to before it is unpickled
    FEATURES              the features' names in the order of the training columns, a JSON array
    SCIKIT_LEARN_VERSION  the version that trained it

Everything that does not depend on a request happens once, when the module is imported: Lambda runs
that before the first request and keeps the process for later ones. A problem found there ends the
init, so a wrong model never answers.
"""

import gc
import hashlib
import io
import json
import math
import os
from contextlib import suppress
from itertools import chain
from operator import itemgetter

import storage

MAXIMUM_INSTANCES = 1000
# False: scikit-learn evaluates every model, should verify.py find one that a shortcut evaluates
# otherwise
SHORTCUTS = True
LARGEST = (2 - 2**-23) * 2**127  # of float32
NUMBERS = {int, float}
NAMED_INSTANCES = 5  # how many offending records of one feature a refusal names one by one
NAMED_UNKNOWN = 20  # how many unknown features it names; a request may hold any number of them


class InvalidInput(ValueError):
    """The request breaks the contract. The workflow turns this class name into the execution's
    error.
    """


class ModelError(RuntimeError):
    """The model cannot be served: not readable, not the one that was deployed, or of another
    scikit-learn.
    """


def load(content, sha256, trained_with, width):
    """Return what predicts rows of a width, from a joblib file's bytes, and which way it does.

    The bytes must be the deployed ones. Three ways, each several times faster than the next: numpy
    alone, scikit-learn of which a part is imported, scikit-learn as it is.
    """
    import estimators

    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(f"the model file's sha256 is {found}, but {sha256} was deployed")
    if not SHORTCUTS:
        return load_with_sklearn(content, trained_with, width), "scikit-learn"
    try:
        return estimators.load(content, trained_with, width), "numpy"
    except estimators.Unknown as unknown:
        return load_in_part(content, trained_with, width, unknown)


def load_in_part(content, trained_with, width, unknown):
    import deferred
    import numpy

    try:
        with deferred.packages():
            predict = deferred.safely(load_with_sklearn(content, trained_with, width))
            with suppress(ValueError):  # of the row, if the model refuses it; the Predictor says so
                predict(numpy.zeros((1, width)))  # imports what a first call imports
        return predict, f"scikit-learn, imported in part ({unknown})"
    except ModelError:
        raise
    except Exception as error:  # whatever it is, scikit-learn as it is serves, or says so too
        why = f"{unknown}; {type(error).__name__}: {error}"
        return load_with_sklearn(
            content, trained_with, width
        ), f"scikit-learn, imported whole ({why})"


def load_with_sklearn(content, trained_with, width):
    import joblib
    import sklearn

    if sklearn.__version__ != trained_with:
        raise ModelError(
            f"the model was trained with scikit-learn {trained_with}, but this image has "
            f"{sklearn.__version__}"
        )
    model = joblib.load(io.BytesIO(content))
    found = getattr(model, "n_features_in_", width)
    if found != width:
        raise ModelError(
            f"the model was trained with {found} features, but the deployed manifest names {width}"
        )
    return model.predict


class Predictor:
    """A fitted model and the features that it expects: `answer` takes a request, `predict` an
    array.
    """

    def __init__(self, name, version, evaluate, features):
        """`evaluate` takes (n_rows, n_features) and returns (n_rows,); `features` are its columns
        in order.
        """
        self.name = name
        self.version = version
        self.evaluate = evaluate
        self.features = tuple(features)
        self._known = frozenset(self.features)
        # itemgetter of one name returns the bare value; the rest of the code wants a tuple.
        getter = itemgetter(*self.features)
        self._values = getter if len(self.features) > 1 else lambda record: (getter(record),)
        rows = self.rows([dict.fromkeys(self.features, 0.0)])
        try:
            self.predict(rows)  # pays for the first call's imports during init
        except ValueError as error:  # a model may refuse this row and no other: 0 may be no category of its training
            if isinstance(error, AttributeError):  # scikit-learn's NotFittedError is both
                raise
            print(
                f"{name} cannot predict a row of zeros, so its first request takes longer: {error}"
            )

    def predict(self, rows):
        """Predict an array of (n_rows, n_features) in one vectorised call; return a list of n_rows
        floats.
        """
        return self.evaluate(rows).tolist()

    def answer(self, request):
        """Check a request and return this model's entry of the result."""
        predictions = self.predict(self.rows(instances(request)))
        if not all(map(math.isfinite, predictions)):  # JSON has no word for it
            raise ModelError("the model's prediction is not a finite number")
        return {"model": self.name, "version": self.version, "predictions": predictions}

    def rows(self, records):
        """Return the records as an array, features in their order; raise InvalidInput naming all
        that is wrong.

        A good batch is checked as a whole, in a tenth of the time that each value by itself would
        take.
        """
        import numpy  # by now it is there; see from_environment

        try:
            rows = [self._values(record) for record in records if record.keys() == self._known]
            if len(rows) == len(records) and set(map(type, chain.from_iterable(rows))) <= NUMBERS:
                found = numpy.array(rows, dtype=numpy.float64)
                if (abs(found) <= LARGEST).all():  # never true of NaN
                    return found
        except (
            AttributeError,
            OverflowError,
        ):  # a record that is no object, an integer beyond floats: say so below
            pass
        raise InvalidInput("; ".join(self._problems(records)))

    def _problems(self, records):
        """Yield one clause for each offending feature, naming the records in which it offends."""
        found = {}
        batch = len(records) > 1
        for number, record in enumerate(records):
            for place, problem in self._faults(record):
                found.setdefault((place, problem), []).append(number)
        unknown = sum(problem == "unknown feature" for _, problem in found)
        named = 0
        for (place, problem), numbers in found.items():
            if problem == "unknown feature":
                named += 1
                if named > NAMED_UNKNOWN:
                    continue
            where = f" (in {listing(numbers)})" if batch else ""
            yield f"{place}: {problem}{where}" if place else f"{problem}{where}"
        if unknown > NAMED_UNKNOWN:
            yield f"and {unknown - NAMED_UNKNOWN} more unknown features"

    def _faults(self, record):
        if not isinstance(record, dict):
            yield "", f"a record must be an object of features, not {kind(record)}"
            return
        for feature in self.features:
            if feature not in record:
                yield feature, "missing"
            elif not is_number(record[feature]):
                yield feature, fault(record[feature])
        for feature in sorted(record.keys() - self._known):
            yield shown(feature), "unknown feature"


def instances(request):
    """Return the records of a request: of {"instances": [...]} those, of a bare record itself."""
    if not isinstance(request, dict):
        raise InvalidInput(
            f'the request must be a record or {{"instances": [...]}}, not {kind(request)}'
        )
    if "instances" not in request:
        return [request]
    if len(request) > 1:
        others = ", ".join(
            sorted(shown(key) for key in request if key != "instances")[:NAMED_UNKNOWN]
        )
        raise InvalidInput(f"beside instances the request must hold nothing, but it holds {others}")
    records = request["instances"]
    if not isinstance(records, list):
        raise InvalidInput(f"instances: must be a list of records, not {kind(records)}")
    if not 1 <= len(records) <= MAXIMUM_INSTANCES:
        raise InvalidInput(
            f"instances: holds {len(records)} records, but 1 to {MAXIMUM_INSTANCES} are allowed"
        )
    return records


def is_number(value):
    """Tell whether a JSON value is a number within float32, which trees compare; true, false and
    NaN are not.
    """
    return type(value) in NUMBERS and -LARGEST <= value <= LARGEST


def fault(value):
    """Say what is wrong with a value that is no such number."""
    if type(value) not in NUMBERS:
        return f"must be a number, not {kind(value)}"
    return (
        "not a finite number"
        if type(value) is float and not math.isfinite(value)
        else "larger than 3.4e38"
    )


def shown(name):
    """Return a name from a request as it may be repeated: not too long, and without what UTF-8
    cannot hold.
    """
    return name[:64].encode("utf-8", "backslashreplace").decode("utf-8")


def kind(value):
    """Name a JSON value's type as JSON names it."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def listing(numbers):
    """Name records of a batch: instances 0, 2, 7 and 11 more."""
    shown = ", ".join(map(str, numbers[:NAMED_INSTANCES]))
    more = len(numbers) - NAMED_INSTANCES
    return f"{'instance' if len(numbers) == 1 else 'instances'} {shown}" + (
        f" and {more} more" if more > 0 else ""
    )


def from_environment(environment):
    """Make the predictor that a function's environment describes."""
    fetching = storage.Fetching(environment["BUCKET"], environment["KEY"])
    import estimators  # noqa: F401  (imports numpy, the longest part of this init, while the network works)

    try:
        content = fetching.result()
    except storage.NotFetched as error:
        raise ModelError(str(error)) from error
    features = json.loads(environment["FEATURES"])
    evaluate, way = load(
        content, environment["SHA256"], environment["SCIKIT_LEARN_VERSION"], len(features)
    )
    print(f"{environment['MODEL']} is evaluated with {way}")
    return Predictor(environment["MODEL"], environment["SHA256"][:12], evaluate, features)


# AWS_LAMBDA_RUNTIME_API is set wherever a Lambda runtime runs this module, and nowhere else.
# Nothing that init makes is ever garbage; looking for some would cost a tenth of the init, and tens
# of milliseconds of a later call now and then.
PREDICTOR = None
if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    gc.disable()
    PREDICTOR = from_environment(os.environ)
    gc.freeze()
    gc.enable()


def handler(event, context):
    """Answer one request (see instances) with {"model", "version", "predictions"}."""
    return PREDICTOR.answer(event)
