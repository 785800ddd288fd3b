"""Models that numpy alone cannot evaluate: scikit-learn imported in part predicts the same."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import pytest
from sklearn.linear_model import LinearRegression

from tests.support.made_zoo import VERIFY, check_zoo, checked, made_zoo, run
from tests.support.projects import ROOT
from tests.support.thinning import thinned

# Its tests share what is made once for them, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("deferred")
COUNTED_MODELS = thinned(["neighbours", "grid", "network", "poisson"], every=2)


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the zoo that the tests here name, by the scikit-learn at hand."""
    return made_zoo(
        tmp_path_factory.mktemp("zoo") / "models", chosen=[*{*checked(), *COUNTED_MODELS}]
    )


@pytest.mark.slow
def test_every_kind_of_model_predicts_the_same_and_none_imports_all_of_scikit_learn(
    animals: Path,
) -> None:
    check_zoo(animals)


COUNTED = """
import sys
from pathlib import Path
import loading
content = Path(sys.argv[2]).read_bytes()
import numpy
from signature import Signature
features = [{"name": str(number)} for number in range(13)]
signature = Signature({"features": features, "scikit-learn": sys.argv[3]})
part = sys.argv[1] == "part"
whole = not part and loading.load_with_sklearn(content, signature)
evaluate = whole or loading.load(content, signature)[0]
evaluate(numpy.ones((1, 13)))
print(len(sys.modules), *sorted(sys.modules))
"""


@pytest.mark.slow(every=2)
@pytest.mark.parametrize("name", COUNTED_MODELS)
def test_half_of_the_modules_are_imported(animals: Path, name: str) -> None:
    """These are the modules that cost the time. Two models by default."""
    counts = {}
    version = json.loads((animals / "manifest.json").read_text())["libraries"]["scikit-learn"]
    for way in ("part", "whole"):
        done = run(COUNTED, way, str(animals / f"{name}.joblib"), version)
        assert done.returncode == 0, done.stderr
        count, *modules = done.stdout.split()
        counts[way] = int(count)
        if way == "part":
            assert not {
                "scipy.stats._distn_infrastructure",
                "sklearn.datasets._base",
                "pandas",
                "boto3",
            } & set(modules)
    assert counts["part"] < 0.7 * counts["whole"], counts


BROKEN = """
import sys
from fast import deferred
def fail(package, name):
    raise AttributeError("no such luck")
deferred.answer = fail
import verify
sys.argv[0] = verify.__file__
verify.main()
"""


@pytest.mark.slow
def test_what_cannot_be_deferred_is_imported_whole_and_predicts_the_same(animals: Path) -> None:
    found = {}
    for program in (BROKEN, str(VERIFY)):
        done = run(program, "--with", "handler", str(animals), "network")
        assert done.returncode == 0, done.stderr
        found[program] = json.loads(done.stdout.splitlines()[-1])["network"]
    broken, usual = found.values()
    assert broken["predictions"] == usual["predictions"]
    assert re.search(
        r"imported whole \(.*MLPRegressor; NotDeferred: \S+: no such luck\)", broken["way"]
    )


# The stand-ins, on packages that a test writes.


@pytest.fixture
def deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, deferring the packages whose names begin with fake_."""
    monkeypatch.syspath_prepend(ROOT / "lambda_src")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    found = importlib.import_module("fast.deferred")
    monkeypatch.setattr(found, "DEFERRED", re.compile(r"fake_\w+(\..+)?"))
    monkeypatch.setattr(found, "IMPORTED_WHEN_CALLED", "fake_late")
    monkeypatch.setattr(found.Loader, "answers", True)
    yield found
    for name in set(sys.modules) - before:
        del sys.modules[name]


Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a package of modules."""

    def write(package: str, **modules: str) -> None:
        for name, text in modules.items():
            path = tmp_path.joinpath(*package.split("."), f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()

    return write


def loaded(package: str) -> set[str]:
    return {name.rpartition(".")[2] for name in sys.modules if name.startswith(f"{package}.")}


def test_a_name_imports_the_module_that_defines_it_and_no_other(
    deferred: ModuleType, make: Make
) -> None:
    make(
        "fake_a",
        __init__="from ._one import first\nfrom ._two import second as other\nfrom ._three "
        "import *\nraise SystemExit",
        _one="first = 1",
        _two="second = 2",
        _three="__all__ = [\n    'third',\n]\nthird = 3",
        alone="value = 4",
    )
    with deferred.packages():
        package: Any = importlib.import_module("fake_a")
        assert loaded("fake_a") == set()
        assert (package.first, loaded("fake_a")) == (1, {"_one"})
        assert (package.other, loaded("fake_a")) == (2, {"_one", "_two"})
    # It still is a stand-in outside of the context.
    assert (package.third, package.alone.value) == (3, 4)
    assert loaded("fake_a") == {"_one", "_two", "_three", "alone"}


@pytest.mark.parametrize(
    ("init", "value"),
    [
        ("from ._one import first\nfirst = first + 1", 2),
        ("from ._one import first\ndef more(): return 5\nfirst = more()", 5),
        ("try:\n    from ._missing import first\nexcept ImportError:\n    first = 7", 7),
        ("from fractions import Fraction as first", "Fraction"),
        ("from ._unlisted import *", 9),
        (
            "def __getattr__(name):\n    if name == 'first':\n        return 11\n    raise "
            "AttributeError(name)",
            11,
        ),
    ],
)
def test_a_name_that_the_package_itself_makes_runs_its_init(
    deferred: ModuleType, make: Make, init: str, value: Any
) -> None:
    make("fake_b", __init__=f"{init}\nran = True", _one="first = 1", _unlisted="first = 9")
    with deferred.packages():
        package: Any = importlib.import_module("fake_b")
        assert "ran" not in vars(package)
        assert getattr(package.first, "__name__", package.first) == value
        assert vars(package)["ran"]


def test_a_submodule_that_the_init_hides_stays_hidden(deferred: ModuleType, make: Make) -> None:
    make(
        "fake_c",
        __init__="from ._one import first\nfrom fractions import Fraction as shape",
        shape="",
        _one="first = 1",
    )
    with deferred.packages():
        assert importlib.import_module("fake_c").shape.__name__ == "Fraction"


def test_a_module_does_not_take_the_place_of_its_function(deferred: ModuleType, make: Make) -> None:
    make("fake_j", __init__="from .shape import shape", shape="def shape():\n    return 4")
    with deferred.packages():
        module: Any = importlib.import_module("fake_j.shape")
        package: Any = importlib.import_module("fake_j")
        assert package.shape is module.shape and package.shape() == 4


def test_a_package_that_becomes_real_has_the_submodules_that_were_imported_before(
    deferred: ModuleType, make: Make
) -> None:
    make("fake_k", __init__="value = 1", part="", late="")
    with deferred.packages():
        package: Any = importlib.import_module("fake_k")
        part = importlib.import_module("fake_k.part")
        assert (package.value, package.part) == (1, part)
        assert importlib.import_module("fake_k.late") is package.late


def test_a_name_that_is_not_there_is_missing_as_ever(deferred: ModuleType, make: Make) -> None:
    make("fake_d", __init__="")
    with deferred.packages():
        package = importlib.import_module("fake_d")
        assert not hasattr(package, "nothing")
        with pytest.raises(ImportError, match="cannot import name 'nothing' from 'fake_d'"):
            exec("from fake_d import nothing")


def test_a_function_of_a_late_package_imports_it_when_it_is_called(
    deferred: ModuleType, make: Make
) -> None:
    make(
        "fake_late",
        __init__="from ._work import work, CONSTANT",
        _work="CONSTANT = 3\n\ndef work(a, *, b):\n    return a + b",
    )
    with deferred.packages():
        package: Any = importlib.import_module("fake_late")
        work = package.work
        assert loaded("fake_late") == set()
        assert package.CONSTANT == 3  # no function
    assert work(1, b=2) == 3
    assert work(2, b=2) == 4
    assert package.work is not work and package.work(1, b=1) == 2


def test_after_a_failure_no_stand_in_is_left(deferred: ModuleType, make: Make) -> None:
    make("fake_e", __init__="from ._one import first", _one="first = 1")
    make("fake_f", __init__="from ._gone import first")
    missing = "fake_f.first: No module named 'fake_f._gone'"
    with pytest.raises(deferred.NotDeferred, match=missing), deferred.packages():
        package: Any = importlib.import_module("fake_e")
        getattr(importlib.import_module("fake_f"), "first")  # noqa: B009  a bare attribute is B018
    assert vars(package)["first"] == 1
    assert type(package) is ModuleType
    assert not any(isinstance(each, deferred.Finder) for each in sys.meta_path)


def test_a_missing_module_is_not_taken_for_an_optional_one(
    deferred: ModuleType, make: Make
) -> None:
    make("fake_g", __init__="from ._gone import first")
    with pytest.raises(deferred.NotDeferred), deferred.packages():
        try:
            exec("from fake_g import first")
        except ImportError:
            pytest.fail("whoever asks for an optional module would go on without it")


def test_a_call_that_meets_what_cannot_be_deferred_is_made_again_without_stand_ins(
    deferred: ModuleType, make: Make
) -> None:
    make("fake_h", __init__="from ._one import first", _one="first = 1")
    with deferred.packages():
        package = importlib.import_module("fake_h")
    calls = []

    def predict(row: int) -> int:
        calls.append(type(package))
        if len(calls) == 1:
            raise deferred.NotDeferred("not now")
        return row + 1

    assert deferred.safely(predict)(1) == 2
    assert calls == [deferred.StandIn, ModuleType]


def test_threads_that_ask_at_once_get_one_answer(deferred: ModuleType, make: Make) -> None:
    make("fake_i", __init__="from ._one import first", _one="first = object()")
    with deferred.packages():
        package: Any = importlib.import_module("fake_i")
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(package.first)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8 and len(set(map(id, found))) == 1


# verify.py, and the switch

WRONG = """
import sys
from fast import linear
scores = linear.scores
linear.scores = lambda model: lambda rows: scores(model)(rows) + 1e-6
import json
from pathlib import Path
import verify
def outcomes(way, models, *names):
    manifest = json.loads((models / "manifest.json").read_text())
    return {name: verify.outcome(verify.LOADERS[way], models, name, manifest) for name in names}
sys.exit(verify.compare(Path(sys.argv[1]), sys.argv[2:], outcomes))
"""


def test_a_fast_path_that_predicts_otherwise_is_reported(animals: Path) -> None:
    done = run(WRONG, str(animals), "linear", "forest")
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(
        r"linear, evaluated with numpy: [-\d.]+ where scikit-learn has [-\d.]+\n", done.stdout
    )


def test_a_handler_that_dies_is_reported(animals: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(ROOT / "lambda_src", tmp_path / "copy")
    with (copy / "fast" / "estimators.py").open("a") as file:
        file.write("\n\ndef load(*given):\n    import os\n    os._exit(9)\n")
    done = run(str(copy / "verify.py"), str(animals), "linear", site=str(copy))
    assert done.returncode == 1
    assert re.fullmatch(
        r"linear, evaluated with nothing: handler ended with 9 where scikit-learn has .*\n",
        done.stdout,
    )


def test_what_predicts_nothing_is_not_verified(tmp_path: Path, trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    joblib.dump(LinearRegression(), tmp_path / "linear_regression.joblib")
    content = (tmp_path / "linear_regression.joblib").read_bytes()
    manifest["models"]["linear_regression"]["sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = run(str(VERIFY), str(tmp_path), "linear_regression")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "linear_regression predicts nothing that could be compared: NotFittedError"
    )


LOADED = """
import sys
import loading
from signature import Signature
loading.preload()
content = open(sys.argv[1], "rb").read()
features = [{"name": str(number)} for number in range(13)]
way = loading.load(content, Signature({"features": features, "scikit-learn": sys.argv[2]}))[1]
print(way, *(name for name in ("fast", "sklearn") if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "numpy fast"),
        ({"FAST_PATHS": "on"}, "numpy fast"),
        ({"FAST_PATHS": "off"}, "scikit-learn sklearn"),
    ],
    ids=["by default", "on", "off"],
)
def test_one_variable_switches_the_fast_paths(
    trained: Path, variables: dict[str, str], expected: str
) -> None:
    version = json.loads((trained / "manifest.json").read_text())["libraries"]["scikit-learn"]
    done = run(LOADED, str(trained / "linear_regression.joblib"), version, **variables)
    assert (done.returncode, done.stdout) == (0, f"{expected}\n"), done.stderr


def test_any_other_value_of_the_switch_is_refused(trained: Path) -> None:
    done = run(LOADED, str(trained / "linear_regression.joblib"), "1", FAST_PATHS="no")
    assert done.returncode == 1
    assert done.stderr.endswith("ModelError: FAST_PATHS is 'no', but must be on or off\n")


def test_models_of_another_scikit_learn_cannot_be_verified_here(
    trained: Path, tmp_path: Path
) -> None:
    content = (trained / "linear_regression.joblib").read_bytes()
    (tmp_path / "linear_regression.joblib").write_bytes(content)
    manifest = json.loads((trained / "manifest.json").read_text())
    manifest["libraries"]["scikit-learn"] = "0.24.2"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    done = run(str(VERIFY), str(tmp_path), "linear_regression")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("the models were trained with scikit-learn 0.24.2, and here is ")
    assert hashlib.sha256(content).hexdigest() == manifest["models"]["linear_regression"]["sha256"]
    assert run(str(VERIFY), str(tmp_path / "none"), "a").returncode == 2
