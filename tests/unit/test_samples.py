"""The request of `invoke --sample` is answered by as many models as there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deployer.project.samples import sample_request


def project(folder: Path, models: dict[str, list[str]], samples: dict[str, Any]) -> Path:
    (folder / "models").mkdir()
    (folder / "samples").mkdir()
    entries = {
        name: {"sha256": "0", "features": [{"name": feature} for feature in features]}
        for name, features in models.items()
    }
    text = json.dumps({"format": 2, "models": entries})
    (folder / "models" / "manifest.json").write_text(text)
    for name, sample in samples.items():
        (folder / "samples" / f"{name}.json").write_text(json.dumps(sample))
    return folder


def test_the_first_file_that_all_models_answer_is_taken_as_it_is(tmp_path: Path) -> None:
    batch = {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    models = {"one": ["a"], "two": ["a", "b"]}
    folder = project(tmp_path, models, {"a": {"a": 1}, "b": batch, "c": {"a": 9, "b": 9}})
    assert json.loads(sample_request(folder)) == batch


def test_the_samples_of_unlike_models_are_put_together(tmp_path: Path) -> None:
    models = {"one": ["a", "b"], "two": ["c"], "three": ["d"]}
    samples = {"one": {"a": 1, "b": 2}, "other": {"x": 1}, "two": {"instances": [{"c": 3}]}}
    folder = project(tmp_path, models, samples)
    assert json.loads(sample_request(folder)) == {"a": 1, "b": 2, "c": 3, "d": 0.0}
