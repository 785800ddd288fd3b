"""Model files as others make them: joblib, pickle, MLflow folders; others are named and refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json, read_text
from deployer.project.examples import Example, of_records, of_rows

_AGAIN = "load it where it was made, and save the fitted estimator: joblib.dump(model, FILE)"
_SKLEARN_INTERFACE = (
    "train by the library's scikit-learn interface, such as XGBClassifier, LGBMClassifier or "
    "CatBoostClassifier, and save that estimator: joblib.dump(model, FILE)"
)
_OTHER = "only models with scikit-learn's predict or transform are served"
# What a file is, by its ending, and what to do.
_ENDINGS = {
    ".skops": ("a skops file", _AGAIN),
    ".onnx": ("an ONNX model", f"{_OTHER}: {_AGAIN}"),
    ".pmml": ("a PMML model", f"{_OTHER}: {_AGAIN}"),
    ".h5": ("a Keras or HDF5 file", _OTHER),
    ".hdf5": ("an HDF5 file", _OTHER),
    ".keras": ("a Keras model", _OTHER),
    ".pt": ("a PyTorch file", _OTHER),
    ".pth": ("a PyTorch file", _OTHER),
    ".safetensors": ("a file of weights", _OTHER),
    ".tflite": ("a TensorFlow Lite model", _OTHER),
    ".pb": ("a TensorFlow graph", _OTHER),
    ".ubj": ("a booster of XGBoost", _SKLEARN_INTERFACE),
    ".bst": ("a booster", _SKLEARN_INTERFACE),
    ".cbm": ("a model of CatBoost", _SKLEARN_INTERFACE),
    ".json": ("a JSON file", _SKLEARN_INTERFACE),
    ".txt": ("a text file, such as a booster of LightGBM", _SKLEARN_INTERFACE),
    ".csv": ("a table", "name the model's file; the table is for --example"),
    ".npy": ("an array of numpy", _AGAIN),
    ".npz": ("arrays of numpy", _AGAIN),
    ".parquet": ("a table", "name the model's file"),
    ".py": ("a Python program", "run it, and name the file that it saves"),
    ".ipynb": ("a notebook", "run it, and name the file that it saves"),
    ".zip": ("an archive", "unpack it, and name the model's file"),
    ".rds": ("a file of R", _OTHER),
}
# Likewise, by its first bytes.
_STARTS = {
    b"\x89HDF": _ENDINGS[".h5"],
    b"CBM1": _ENDINGS[".cbm"],
    b"tree\n": _ENDINGS[".txt"],
    b"\x93NUMPY": _ENDINGS[".npy"],
    b"PAR1": _ENDINGS[".parquet"],
    b"<?xml": ("an XML file, such as PMML", f"{_OTHER}: {_AGAIN}"),
    b"version https://git-lfs": ("a pointer of Git LFS", "run git lfs pull, then try again"),
}
_WRAPPERS = ("sklearn", "xgboost", "lightgbm", "catboost")  # flavors that may hold a pickle
_TYPES = {
    "boolean": ("boolean", "bool"),
    "integer": ("number", "int32"),
    "long": ("number", "int64"),
    "float": ("number", "float32"),
    "double": ("number", "float64"),
    "string": ("string", ""),
}


@dataclass
class Source:
    """A file to load, and what its metadata say of the model.

    Args:
        names: of the features, in order.
        types: number, boolean or string, by feature.
        dtypes: of a table's columns.
        targets: names of the outputs.
    """

    file: Path
    example: Example = field(default_factory=Example)
    names: list[str] | None = None
    types: dict[str, str] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)


def open_source(path: Path) -> Source:
    """Return the file that holds the model at a path.

    Raises:
        ConfigError: it is neither a joblib file, nor a pickle, nor a folder of MLflow with one.
    """
    if path.is_dir():
        if (path / "MLmodel").is_file():
            return _of_mlflow(path)
        raise ConfigError(
            [f"{path} is a folder without MLmodel"],
            "name a joblib file, a pickle, or a model folder of MLflow",
        )
    if path.name == "MLmodel" and path.is_file():
        return _of_mlflow(path.parent)
    if not path.exists():
        raise ConfigError([f"{path} does not exist"])
    if not path.is_file():
        raise ConfigError([f"{path} is no ordinary file"])
    _refuse_foreign(path)
    return Source(path)


def _refuse_foreign(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"]) from error
    if not head:
        raise ConfigError([f"{path} is empty"])
    known = _ENDINGS.get(path.suffix.lower())
    known = next((words for start, words in _STARTS.items() if head.startswith(start)), known)
    if head.startswith(b"PK\x03\x04"):
        known = _ENDINGS.get(path.suffix.lower()) or _archive(path)
    if known:
        what, advice = known
        raise ConfigError([f"{path} is {what}, not a joblib or pickle file"], advice)


def _archive(path: Path) -> tuple[str, str]:
    try:
        names = zipfile.ZipFile(path).namelist()
    except (zipfile.BadZipFile, OSError):
        return _ENDINGS[".zip"]
    if any(name.endswith("data.pkl") for name in names):
        return _ENDINGS[".pt"]
    return _ENDINGS[".skops" if "schema.json" in names else ".zip"]


def _of_mlflow(folder: Path) -> Source:
    """Read a model folder of MLflow: the file, the signature and the input example."""
    about = _yaml(folder / "MLmodel")
    flavors = about.get("flavors")
    flavors = flavors if isinstance(flavors, Mapping) else {}
    source = Source(_mlflow_file(folder, flavors))
    signature = about.get("signature")
    if isinstance(signature, Mapping):
        _add_inputs(source, _columns(signature.get("inputs")))
        outputs = _columns(signature.get("outputs"))
        source.targets = [str(column["name"]) for column in outputs if column.get("name")]
    example = about.get("saved_input_example_info")
    if isinstance(example, Mapping):
        source.example = _mlflow_example(folder, example, source.names)
    return source


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            [f"{path} is YAML, and PyYAML is not installed"], "python -m pip install pyyaml"
        ) from None
    try:
        value = yaml.safe_load(read_text(path))
    except (Unreadable, yaml.YAMLError) as error:
        raise ConfigError([f"{path} cannot be read: {' '.join(str(error).split())}"]) from error
    return value if isinstance(value, Mapping) else {}


def _mlflow_file(folder: Path, flavors: Mapping[str, Any]) -> Path:
    names: list[Any] = []
    for flavor in (*_WRAPPERS, "python_function"):
        about = flavors.get(flavor)
        if isinstance(about, Mapping):
            names += [about.get("pickled_model"), about.get("model_path"), about.get("data")]
    for name in filter(None, names):
        path = folder / str(name)
        if path.is_file() and path.suffix in (".pkl", ".pickle", ".joblib", ".cloudpickle"):
            return path
    flavor = next((name for name in flavors if name != "python_function"), "python_function")
    if flavor in _WRAPPERS:
        raise ConfigError(
            [f"{folder} is a model of MLflow of the flavor {flavor} without a pickled estimator"],
            "log it again by mlflow.sklearn.log_model, from the library's scikit-learn interface",
        )
    raise ConfigError(
        [f"{folder} is a model of MLflow of the flavor {flavor}"],
        "only the flavor sklearn is served, which mlflow.sklearn.log_model writes",
    )


def _columns(text: Any) -> list[Mapping[str, Any]]:
    """Return the columns of a signature's inputs or outputs, which are JSON inside YAML."""
    try:
        columns = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return []
    return [column for column in columns or () if isinstance(column, Mapping)]


def _add_inputs(source: Source, columns: list[Mapping[str, Any]]) -> None:
    named = [column for column in columns if column.get("name") and column.get("type") in _TYPES]
    if not named or len(named) != len(columns):
        return  # tensors say no names
    source.names = [str(column["name"]) for column in named]
    for column in named:
        type_, dtype = _TYPES[column["type"]]
        source.types[str(column["name"])] = type_
        if dtype:
            source.dtypes[str(column["name"])] = dtype


def _mlflow_example(folder: Path, about: Mapping[str, Any], names: list[str] | None) -> Example:
    """Return the input example; an empty one if it is of a kind that is not records."""
    name = str(about.get("artifact_path", ""))
    path = folder / name
    if not name or not path.is_file():
        return Example()
    try:
        value = read_json(path)
    except Unreadable as error:
        raise ConfigError([f"{path} {error}"]) from error
    if isinstance(value, Mapping) and {"columns", "data"} <= value.keys():
        return of_rows(map(str, value["columns"]), value["data"])
    if isinstance(value, Mapping) and isinstance(value.get("inputs"), list):
        value = value["inputs"]
    elif isinstance(value, (Mapping, list)) and about.get("type") == "dataframe":
        return of_records(value, str(path))
    rows = value if isinstance(value, list) else []
    if rows and all(isinstance(row, list) for row in rows):
        width = len(rows[0])
        return of_rows(names or [f"x{number}" for number in range(width)], rows)
    if rows and all(isinstance(row, str) for row in rows):
        return of_rows(names or ["text"], [[row] for row in rows])
    return Example()
