"""Files of models and of examples: those that are read, and words for those that are not."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.errors import ConfigError
from deployer.project.examples import read_example
from deployer.project.model_files import open_source
from tests.support.made_elsewhere import MODELS, NUMBERS


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "what", "advice"),
    [
        ("m.skops", archive("schema.json"), "a skops file", "joblib.dump"),
        ("m.bin", archive("schema.json"), "a skops file", "joblib.dump"),
        ("m.onnx", b"\x08\x07", "an ONNX model", "scikit-learn"),
        ("m.pmml", b"<PMML/>", "a PMML model", "scikit-learn"),
        ("m.xml", b"<?xml version='1.0'?>", "an XML file", "scikit-learn"),
        ("m.h5", b"\x89HDF\r\n", "a Keras or HDF5 file", "scikit-learn"),
        ("m.keras", archive("config.json"), "a Keras model", "scikit-learn"),
        ("m.pt", archive("a/data.pkl"), "a PyTorch file", "scikit-learn"),
        ("m", archive("a/data.pkl"), "a PyTorch file", "scikit-learn"),
        ("m.ubj", b"{L", "a booster of XGBoost", "XGBClassifier"),
        ("m.model", b"CBM1xx", "a model of CatBoost", "CatBoostClassifier"),
        ("m.model", b"tree\nversion=v4", "a text file, such as a booster of LightGBM", "LGBM"),
        ("m.json", b"{}", "a JSON file", "XGBClassifier"),
        ("m.csv", b"a,b", "a table", "--example"),
        ("m.joblib", b"version https://git-lfs.github.com/spec/v1", "Git LFS", "git lfs pull"),
    ],
)
def test_files_of_other_kinds_are_named_and_refused(
    tmp_path: Path, name: str, content: bytes, what: str, advice: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        open_source(tmp_path / name)
    assert what in refused.value.message and advice in refused.value.advice
    assert "not a joblib or pickle file" in refused.value.message


def test_what_is_not_there_empty_or_a_plain_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pkl").touch()
    for path, message in (
        (tmp_path / "x.pkl", "does not exist"),
        (tmp_path / "empty.pkl", "is empty"),
        (tmp_path, "is a folder without MLmodel"),
    ):
        with pytest.raises(ConfigError, match=message):
            open_source(path)


COLUMNS = [{"type": "double", "name": name, "required": True} for name in NUMBERS]
OUTPUTS = [{"type": "double", "name": "price"}, {"type": "double", "name": "rent"}]


def mlflow_model(folder: Path, **changes: Any) -> Path:
    """Write a model folder as mlflow.sklearn.log_model does."""
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(MODELS["two_targets"][0]))
    (folder / "conda.yaml").write_text("dependencies: []")
    split = {"columns": list(NUMBERS), "data": NUMBERS[:2].to_numpy().tolist()}
    (folder / "input_example.json").write_text(json.dumps(split))
    about = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "env": {"conda": "conda.yaml"},
                "loader_module": "mlflow.sklearn",
                "model_path": "model.pkl",
                "predict_fn": "predict",
                "python_version": "3.11.7",
            },
            "sklearn": {
                "code": None,
                "pickled_model": "model.pkl",
                "serialization_format": "cloudpickle",
                "sklearn_version": "1.7.2",
            },
        },
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "type": "dataframe",
        },
        "signature": {
            "inputs": json.dumps(COLUMNS),
            "outputs": json.dumps(OUTPUTS),
            "params": None,
        },
        **changes,
    }
    (folder / "MLmodel").write_text(yaml.safe_dump(about))
    return folder


def test_a_model_folder_of_mlflow_is_read_without_mlflow(tmp_path: Path) -> None:
    folder = mlflow_model(tmp_path / "model")
    for path in (folder, folder / "MLmodel"):
        source = open_source(path)
        assert source.file == folder / "model.pkl"
        assert source.names == list(NUMBERS) and source.targets == ["price", "rent"]
        assert set(source.types.values()) == {"number"}
        assert set(source.dtypes.values()) == {"float64"}
        assert source.example.columns["width"] == NUMBERS["width"][:2].tolist()


def test_an_array_as_example_and_a_signature_of_tensors_give_numbered_names(
    tmp_path: Path,
) -> None:
    tensor = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]
    folder = mlflow_model(
        tmp_path / "model",
        signature={"inputs": json.dumps(tensor), "outputs": json.dumps(tensor)},
        saved_input_example_info={"artifact_path": "input_example.json", "type": "ndarray"},
    )
    (folder / "input_example.json").write_text('{"inputs": [[1.0, 2.0], [3.0, 4.0]]}')
    source = open_source(folder)
    assert source.names is None and source.example.columns == {"x0": [1.0, 3.0], "x1": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("flavors", "message"),
    [
        ({"pytorch": {"model_data": "data"}}, "of the flavor pytorch"),
        ({"xgboost": {"data": "model.ubj"}}, "flavor xgboost without a pickled estimator"),
        ({}, "of the flavor python_function"),
    ],
)
def test_other_flavors_of_mlflow_are_refused(tmp_path: Path, flavors: Any, message: str) -> None:
    folder = mlflow_model(tmp_path / "model", flavors=flavors)
    with pytest.raises(ConfigError, match=message):
        open_source(folder)


def test_a_description_that_is_no_yaml_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = mlflow_model(tmp_path / "model")
    (folder / "MLmodel").write_text("a: [1,\nb: {")
    with pytest.raises(ConfigError, match=r"MLmodel cannot be read: [^\n]+$"):
        open_source(folder)


def test_the_cells_of_a_table_are_typed_as_pandas_types_them(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a;b;c;d;e;f\n1;1;1.5;True;x;01\n2;;NaN;false;NA;02\n")
    example = read_example(path)
    assert example.columns == {
        "a": [1, 2],
        "b": [1.0, None],
        "c": [1.5, None],
        "d": [True, False],
        "e": ["x", None],
        "f": [1, 2],
    }
    assert example.raw["f"] == ["01", "02"]


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', '[{"a": 1}]', '{"instances": [{"a": 1}]}'],
)
def test_a_record_a_list_and_a_batch_are_examples(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_example(tmp_path / "x.json").columns == {"a": [1]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "", "is empty; its first line must name the columns"),
        ("x.csv", "1,2.5\n3,4\n", "has no header: its first line, 1, 2.5, names no columns"),
        ("x.csv", "a,b\n", "has a header, but no records"),
        ("x.csv", ",a\n0,1\n", "line 1, column 1: it has no name"),
        ("x.csv", "a,a\n0,1\n", "line 1, column 2: 'a' stands twice"),
        ("x.csv", "a,b\n1\n", "line 2: 1 cells, but the header names 2"),
        ("x.csv", 'a,b\n"1,2\n', "is no CSV file"),
        ("x.json", "[1, 2]", "record 1 must be an object"),
        ("x.json", "[]", "holds no record"),
        ("x.json", "{}", "record 1 is empty"),
        ("x.json", '[{"a": 1}, {"b": 1}]', "record 2 has other members than the first: a, b"),
        ("x.json", '{"a": [1]}', "record 1, a: must be a number, a string or a boolean"),
        ("x.json", "{", "line 1, column 2"),
        ("y.csv", None, "does not exist"),
    ],
)
def test_an_example_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_example(tmp_path / name)
    assert message in refused.value.message and "\n" not in refused.value.message
