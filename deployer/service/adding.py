"""`add` without a terminal: inspect a trained model, and put it into the project."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any

from deployer.children import child
from deployer.errors import ConfigError
from deployer.files import Unreadable, read_json, read_object
from deployer.project import branches, json_text, template
from deployer.project.answers import HERE, difference
from deployer.project.examples import Example, of_records
from deployer.project.manifest import MANIFEST, read_manifest, violations
from deployer.project.model_files import Source
from deployer.project.workflow import WORKFLOW, name_problem, placeholders

if TYPE_CHECKING:
    from deployer.service.libraries import Lines

_CHILD = """
import sys
root = sys.argv[3]
sys.path[0] = root
from deployer.project.inspection.program import main
sys.path.remove(root)  # the model must not find modules there that its image lacks
main(sys.argv[1:3])
"""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Answers:
    """What the user answered to `Unknown`."""

    names: list[str] | None = None
    types: dict[str, str] = field(default_factory=dict)


@dataclass
class Inspected:
    """What was concluded of a model.

    Args:
        unknown: what the model does not say: "names" with a default, or the "types" of columns;
            while there is any, all else is empty.
        content: the joblib file to serve.
        given: the sha256 of the user's own file.
    """

    entry: dict[str, Any]
    estimator: str
    remarks: list[str]
    unknown: dict[str, list[str]]
    content: bytes
    given: str


@dataclass(frozen=True)
class Write:
    """A file of the project to write, or to delete if `content` is None."""

    path: Path
    name: str
    content: bytes | None

    @property
    def changes(self) -> bool:
        before = self.path.read_bytes() if self.path.is_file() else None
        return before != self.content


@dataclass
class Addition:
    """All that `add` writes.

    Args:
        branch: to be pasted by hand, if the workflow has no place for it.
        lines: of requirements.txt, which the user may not want; not among the writes.
    """

    name: str
    entry: dict[str, Any]
    estimator: str
    remarks: list[str]
    writes: list[Write]
    branch: Mapping[str, Any] | None
    lines: Lines | None = None

    def add_lines(self, *, agreed: bool) -> None:
        """Write the lines of requirements.txt, too, or say that they are lacking."""
        lines = self.lines
        if lines is None:
            return
        if agreed:
            self.writes.append(Write(lines.path.resolve(), lines.file, lines.content))
            made = "is the shared one with" if lines.copied else "now names"
            self.remarks.append(f"{lines.file} {made} {lines.listed}")
        else:
            self.remarks.append(f"{lines.file} lacks {lines.listed}: the model's image needs them")


def function_name(given: str | None, path: Path) -> str:
    """Return the name of a model: the given one, or one made of the file's name.

    Raises:
        ConfigError: a function cannot have it.
    """
    if given is None:
        stem = path.name if path.is_dir() else path.stem
        given = re.sub("[^a-z0-9]+", "_", stem.lower()).strip("_")
        given = f"model_{given}" if given[:1].isdigit() else given
        if not given:
            raise ConfigError([f"{path.name} makes no name of a function"], "give one by --name")
    problem = name_problem(given)
    if problem:
        raise ConfigError([f"--name: {problem}"])
    return given


def inspect(
    project: Path, name: str, source: Source, example: Example, answers: Answers
) -> Inspected:
    """Load a model in a process of its own, which runs the code in its file.

    Raises:
        ConfigError: it cannot be loaded or served.
    """
    own = project / "lambda_src"
    path = [own / name, own] if (own / "inputs.py").is_file() else []
    path = path or [own / name, own, template.source() / "lambda_src"]
    with tempfile.TemporaryDirectory(prefix="deployer-add-") as folder:
        output = Path(folder) / "model.joblib"
        job = {
            "file": str(source.file.resolve()),
            "path": [str(part) for part in path if part.is_dir()],
            "own": str(own),
            "output": str(output),
            "known": {
                **asdict(example),
                "names": answers.names or source.names,
                "types": {**source.types, **answers.types},
                "dtypes": source.dtypes,
                "targets": source.targets,
            },
        }
        report = _run(project, source.file, job, Path(folder))
        if "refused" in report:
            raise ConfigError([f"{source.file}: {report['refused']}"], report["advice"])
        entry = report.get("entry", {})
        if "packages" in entry:
            from deployer.images.requirements import for_images

            entry["packages"] = for_images(entry["packages"])
        return Inspected(
            entry=entry,
            estimator=report.get("estimator", ""),
            remarks=report["remarks"],
            unknown=report["unknown"],
            content=output.read_bytes() if output.is_file() else b"",
            given=hashlib.sha256(source.file.read_bytes()).hexdigest(),
        )


def _run(project: Path, file: Path, job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    paths = [str(folder / "job.json"), str(folder / "report.json")]
    command = [sys.executable, "-c", _CHILD, *paths, str(_ROOT)]
    # The same file gives the same copy: sets keep their order.
    variables = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with child(command, project, variables, stdout=DEVNULL, stderr=PIPE) as process:
        _, said = process.communicate()
    if process.returncode == 0 and Path(paths[1]).is_file():
        report: dict[str, Any] = json.loads(Path(paths[1]).read_text(encoding="utf-8"))
        return report
    code = process.returncode
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    raise ConfigError([f"{file}: the process that loads it ended with {how}: {last}"])


def former_example(project: Path, name: str) -> Example:
    """Return the real records that an added model of this name was asked; none if there are none.

    A retrained model is asked the same.
    """
    manifest = read_manifest(project, []) if (project / MANIFEST).exists() else {}
    entry = manifest.get("models", {}).get(name, {})
    if not added(entry) or entry["source"].get("made") or not entry.get("example"):
        return Example()
    return of_records(entry["example"]["instances"], MANIFEST)


def plan_addition(
    project: Path, name: str, source: Source, inspected: Inspected, *, made: bool = False
) -> Addition:
    """Return all that is to be written; nothing is yet.

    Args:
        made: whether the example is a record that was made for the model.

    Raises:
        ConfigError: something of the user's is in the way, or the project has faults.
    """
    problems: list[str] = []
    known = (project / MANIFEST).exists()
    manifest = read_manifest(project, problems) if known else {}
    definition = read_object(project, WORKFLOW, problems) if _exists(project, WORKFLOW) else None
    if problems:
        raise ConfigError(problems)
    before = manifest.get("models", {}).get(name)
    refuse_foreign(project, name, before, inspected)
    inspected = _as_before(project, name, before, inspected)
    remarks = list(inspected.remarks)
    sample = _sample(project, name, inspected.entry, before, remarks)
    entry = _entry(project, name, source, before, inspected)
    if made:
        entry["source"]["made"] = True
    if sample is not None:
        entry["source"]["sample"] = hashlib.sha256(sample).hexdigest()
    if before is not None and before != entry:
        remarks.append(_replaced(before))
    from deployer.service.libraries import plan_lines

    packages, python = entry.get("packages", {}), entry["libraries"]["python"]
    lines = plan_lines(project, name, packages, python, remarks)
    text = _manifest_text(project, manifest, name, entry)
    workflow, branch = _workflow_text(project, definition, name, remarks)
    # The entry comes before the files: it says that `add` wrote them.
    writes = [
        _write(project, MANIFEST, text.encode()),
        _write(project, f"models/{name}.joblib", inspected.content),
    ]
    if sample is not None:
        writes.append(_write(project, f"samples/{name}.json", sample))
    if workflow is not None:
        writes.append(_write(project, WORKFLOW, workflow.encode()))
    remarks += _without_model(workflow, json.loads(text.lstrip("\ufeff")))
    return Addition(name, entry, inspected.estimator, remarks, writes, branch, lines)


def refuse_foreign(
    project: Path, name: str, before: Mapping[str, Any] | None, inspected: Inspected
) -> None:
    """Raise ConfigError if another entry or file of this name is in the way."""
    if before is not None and not added(before):
        raise ConfigError(
            [f"{MANIFEST} has a model {name} already, which `add` did not write"],
            f"give another --name, or take it out first: python -m deployer remove {name}",
        )
    path = _model(project, name)
    source = before["source"] if before else {}
    ours = {inspected.entry["sha256"], before["sha256"] if before else "", source.get("replaces")}
    if (path.exists() or path.is_symlink()) and digest(path) not in ours:
        raise ConfigError(
            [
                f"models/{name}.joblib is in the way: `add` did not write it, or it was changed "
                "since"
            ],
            "move it away, or give another --name",
        )


def _model(project: Path, name: str) -> Path:
    return project / "models" / f"{name}.joblib"


def _as_before(
    project: Path, name: str, before: Mapping[str, Any] | None, inspected: Inspected
) -> Inspected:
    """Return what was inspected with the file that is there, if that is a copy of the same model.

    Saving a model again with n_jobs=1 may give other bytes, for nothing in the model, and the
    threads of a forest add in any order, which changes the last digits of its answer.
    """
    path = _model(project, name)
    if before is None or before["source"]["sha256"] != inspected.given:
        return inspected
    if digest(path) != before["sha256"]:
        return inspected
    kept = {member: before[member] for member in ("sha256", "size_bytes") if member in before}
    if _same_answer(before.get("example"), inspected.entry.get("example")):
        kept["example"] = before["example"]
    return replace(inspected, entry={**inspected.entry, **kept}, content=path.read_bytes())


def _same_answer(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    """Tell whether the same records were answered alike, up to the order of sums."""
    if not before or not now or before["instances"] != now["instances"]:
        return False
    answers = before.get("answer", {}), now.get("answer", {})
    if answers[0].keys() != answers[1].keys():
        return False
    return difference(answers[1], answers[0], len(now["instances"]), HERE) is None


def _entry(
    project: Path,
    name: str,
    source: Source,
    before: Mapping[str, Any] | None,
    inspected: Inspected,
) -> dict[str, Any]:
    """Return the manifest entry, which says where the model came from and what `add` wrote."""
    entry = {
        **{part: inspected.entry[part] for part in ("sha256", "size_bytes")},
        **inspected.entry,
        "source": {"file": source.file.name, "sha256": inspected.given, "added": True},
    }
    former = before["source"] if before is not None else {}
    there = digest(_model(project, name))
    if there and (before is None or former.get("wrote") is False):  # the user had put it there
        entry["source"]["wrote"] = False
    replaced = there if there not in ("", entry["sha256"]) else former.get("replaces")
    if replaced:  # for the next run, if this one is killed before the file is written
        entry["source"]["replaces"] = replaced
    return entry


def added(entry: Mapping[str, Any]) -> bool:
    """Tell whether `add` wrote an entry."""
    source = entry.get("source")
    return isinstance(source, Mapping) and source.get("added") is True


def _sample(
    project: Path,
    name: str,
    entry: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    remarks: list[str],
) -> bytes | None:
    """Return the content of samples/NAME.json; None if there is no example, or it is the user's."""
    records = entry.get("example", {}).get("instances")
    if not records:
        return None
    content = (json.dumps(records[0], indent=2, ensure_ascii=False) + "\n").encode()
    path = project / "samples" / f"{name}.json"
    former = before["source"].get("sample") if before else None
    if path.exists() and digest(path) not in (former, hashlib.sha256(content).hexdigest()):
        if not _holds(path, records):
            remarks.append(f"samples/{name}.json stays as it is: `add` did not write it")
        return None
    return content


def _holds(path: Path, records: Sequence[Any]) -> bool:
    """Tell whether a sample of the user's is the example itself: a record, or all of them."""
    try:
        value = read_json(path)
    except Unreadable:
        return False
    return value in (records[0], records, {"instances": records})


def _replaced(before: Mapping[str, Any]) -> str:
    answer = json.dumps(before.get("example", {}).get("answer", {}), ensure_ascii=False)
    answer = answer if len(answer) <= 120 else f"{answer[:120]}..."
    return (
        f"it replaces version {before['sha256'][:12]}, made of {before['source'].get('file')}, "
        f"whose example was answered {answer}"
    )


def _manifest_text(
    project: Path, manifest: Mapping[str, Any], name: str, entry: dict[str, Any]
) -> str:
    """Return the manifest's text with the entry in it.

    Raises:
        ConfigError: the result would not be valid.
    """
    path = project / MANIFEST
    if path.exists():
        text = path.read_bytes().decode()
        if manifest.get("format", 1) != 2:
            text = json_text.put(text, ["format"], 2)
            _refuse_violations(
                text, f"{MANIFEST} is of format 1, and cannot become one of format 2"
            )
        if "models" not in manifest:
            text = json_text.put(text, ["models"], {})
    else:
        libraries = entry["libraries"]
        whole = {"format": 2, "libraries": libraries, "models": {}}
        text = json.dumps(whole, indent=2) + "\n"
    if manifest.get("models", {}).get(name) != entry:
        text = json_text.put(text, ["models", name], entry)
    _refuse_violations(text, f"{name} cannot be described in {MANIFEST}")
    return text


def _refuse_violations(text: str, what: str) -> None:
    faults = list(violations(json.loads(text.lstrip("\ufeff"))))
    if faults:
        raise ConfigError([f"{what}: {fault}" for fault in faults])


def _workflow_text(
    project: Path, definition: Mapping[str, Any] | None, name: str, remarks: list[str]
) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return the workflow's text with a branch of the model, or the branch to paste."""
    if definition is None:
        return branches.with_branch(branches.new_workflow(), name), None
    text = (project / WORKFLOW).read_bytes().decode()
    if branches.names_function(definition, name):
        return text, None
    try:
        return branches.with_branch(text, name), None
    except branches.NoPlace as error:
        remarks.append(
            f"{WORKFLOW} is not changed: {error}; put this model's branch in by hand, where the "
            "workflow is to ask it"
        )
        return text, error.branch


def _without_model(workflow: str | None, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a remark on the functions of the workflow that have no model yet."""
    definition = json.loads((workflow or "{}").lstrip("\ufeff"))
    names = dict.fromkeys(name for _, name in placeholders(definition))
    missing = [name for name in names if name not in manifest["models"]]
    if missing:
        yield (
            f"{WORKFLOW} also names {', '.join(missing)}, which {MANIFEST} does not: train them "
            f"(python train.py), or take them out: python -m deployer remove {' '.join(missing)}"
        )


def _exists(project: Path, name: str) -> bool:
    return (project / name).exists()


def _write(project: Path, name: str, content: bytes | None) -> Write:
    return Write((project / name).resolve(), name, content)


def digest(path: Path) -> str:
    """Return the sha256 of a file, or "" if there is no file at this path."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def perform(project: Path, writes: Sequence[Write]) -> list[str]:
    """Write and delete files, whole or not at all, in order; return the names of those changed.

    A run that is killed in between is completed by the next one.
    """
    (project / "models").mkdir(parents=True, exist_ok=True)
    changed = []
    with locked(project / "models"):  # against a training
        for write in writes:
            if not write.changes:
                continue
            if write.content is None:
                write.path.unlink()
            else:
                write.path.parent.mkdir(parents=True, exist_ok=True)
                aside = write.path.with_name(f".{write.path.name}.adding")
                try:
                    aside.write_bytes(write.content)
                    aside.replace(write.path)
                finally:
                    aside.unlink(missing_ok=True)
            changed.append(write.name)
    return changed


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against another process that locks it. The system unlocks it at its end."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
