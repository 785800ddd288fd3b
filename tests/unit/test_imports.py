"""Which module may import which, and that the pages which describe this are true."""

from __future__ import annotations

import ast
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import deployer
from deployer.cli import VERBS
from tests.support.projects import ROOT

PACKAGE = ROOT / "deployer"

# From top to bottom; a module imports only from lines below its own (resources share a line: they
# never import one another).
LAYERS = [
    {"__main__"},
    {"cli"},
    {f"commands.{verb}" for verb in VERBS},
    {"commands.switching", "commands.tracing", "commands.measuring"},
    {"commands.asking", "commands.changes"},
    {"commands.session"},
    {"commands.interrupts", "commands.options"},
    {"commands.group"},
    {"local", "service.check", "service.plan_file", "service.status", "service.load"},
    {"service.hearing"},
    {"report.trace", "report.live"},
    {"report.board", "report.lines"},
    {"report.rows", "report.summary"},
    {
        "report.cost",
        "report.load",
        "report.status",
        "report.phases",
        "report.releases",
        "report.results",
        "report.markdown",
        "report.mermaid",
        "report.svg",
        "report.tree",
    },
    {"report.plan", "report.configuration"},
    {"report.documents", "report.logs"},
    {
        "report.added",
        "report.initialized",
        "report.layout",
        "service.up",
        "service.down",
        "service.invoke",
        "service.advice",
        "service.removing",
        "service.switching",
    },
    {"service.verb_policies", "service.github"},
    {"service.configuration"},
    {"service.scopes"},
    {"report.marks", "report.console"},
    {"report.values", "report.folding"},
    {"service.initializing", "service.retraining"},
    {"service.traces", "service.live_picture", "service.state_marks"},
    {"service.adding", "service.keys", "service.listing"}
    | {"service.request_logs", "service.tracing"},
    {"service.logs", "service.passages"},
    {"service.live", "service.validation"},
    {"service.console", "service.metrics"},
    {"service.account", "service.comparison", "service.pruning"},
    {
        "service.examples",
        "service.libraries",
        "service.rehearsal",
        "service.census",
        "service.inventory",
        "service.outcome",
        "service.contents",
        "service.curl",
        "service.picture",
        "service.pricing",
        "service.alarm_topic",
        "service.serving",
        "service.issuer",
    },
    {"service.drift"},
    {"service.credentials", "service.releases"},
    {"service.interface.openapi", "service.interface.page"},
    {"service.interface.files", "service.interface.responses"},
    {"service.interface.results", "service.interface.security"},
    {"service.interface.schemas"},
    {"service.interface.reading"},
    {"service.declare"},
    {"service.alarms"},
    {"service.rest_contract"},
    {"service.callers", "service.rest_templates"},
    {"engine.apply", "service.release", "service.permissions", "service.proof"},
    {"service.provisioning", "service.ownership"},
    {"resources.apigateway.http_api", "resources.apigateway.rest_api", "resources.ecr"}
    | {"resources.iam", "resources.lambda_"}
    | {"resources.alarms", "resources.metric_filters", "resources.sns"}
    | {"resources.provisioned", "resources.s3", "resources.stepfunctions"}
    | {"project.contexts", "project.training"},
    {"resources.apigateway.rest_stage", "resources.apigateway.rest_usage_plan"},
    {f"resources.apigateway.{part}" for part in ("cors", "integration", "routes", "stage")}
    | {
        f"resources.apigateway.{part}"
        for part in ("apis", "rest_keys", "rest_limits", "authorizer")
    }
    | {"resources.apigateway.rest_definition"},
    {"resources.apigateway.rest_calls"},
    {"resources.logs"},
    {"resources.apigateway.calls"},
    {"resources.base", "resources.fields"},
    {"images.build", "project.models"},
    {"project.samples", "project.last_seen"},
    {"images.direct", "images.engine", "images.installed", "images.maintenance"},
    {"images.packages", "images.base", "images.pins", "images.ecr", "images.archive"}
    | {"images.predictions", "images.trial"},
    {"images.recipe", "images.layers", "images.slim", "images.bytecode"},
    {"images.openmp"},
    {"images.symbols"},
    {"service.cost"},
    {"project.initial"},
    {"project.branches", "project.drawing", "project.model_files", "project.inspection.program"},
    {"project.examples", "project.inspection.conclusions", "project.inspection.unpickling"},
    {"project.inspection.records", "project.inspection.names"},
    {"project.manifest"},
    {"project.answers"},
    {"project.json_text", "project.inspection.structure"},
    {"project.inspection.refusal"},
    {"project.settings", "engine.graph"},
    {"images.context", "images.pip_command", "images.requirements", "images.registry"},
    {"images.dockerfile", "images.cache", "aws.access", "engine.saved", "project.folder"},
    {"engine.withheld"},
    {"engine.plan", "project.sections"},
    {"project.declared"},
    {"aws.clients", "aws.identity", "aws.memory", "aws.translation", "aws.waiting"},
    {
        "engine.compare",
        "engine.differences",
        "engine.events",
        "engine.exposure",
        "aws.pace",
        "aws.partitions",
        "project.canary",
        "project.workflow",
        "project.provenance",
        "aws.signin",
        "aws.signing",
    },
    {"project.conditions", "service.log_lines"},
    {"project.expressions"},
    {"files", "machine", "project.parsers", "project.state_rules"},
    {"aws.botocore_patches"},
    {"aws.foreign_answers"},
    {"children", "errors", "hints", "images.run_handler", "project.template"},
    {
        "",
        "commands",
        "resources",
        "resources.apigateway",
        "images",
        "aws",
        "engine",
        "project",
        "project.inspection",
        "report",
        "service",
        "service.interface",
    },
]
RANK = {name: number for number, names in enumerate(LAYERS) for name in names}
ONLY_IN = {
    "boto3": {"aws"},
    "rich": {"report"},
    "click": {"cli", "commands"},
    "jsonata": {"project.expressions"},
    "airspeed": {"local"},
    "moto": {"local"},
    "waitress": {"local"},
    "botocore": {"aws", "local"},
    "docker": {"images.engine", "images.context", "images.registry"},
    "requests": {"images.engine", "images.ecr", "images.registry"},
    "jsonschema": {"project.manifest"},
    "yaml": {"project.model_files", "service.interface.files"},
    "packaging": {"images.requirements", "images.packages", "images.installed"},
}
PURE = {
    "project.answers",
    "project.canary",
    "engine.plan",
    "engine.compare",
    "engine.differences",
    "engine.events",
    "engine.exposure",
    "engine.saved",
    "engine.withheld",
    "errors",
    "project.json_text",
    "project.drawing",
    "project.conditions",
    "project.state_rules",
    "project.workflow",
    "report.layout",
    "service.log_lines",
    "service.rest_templates",
    "service.passages",
    "service.state_marks",
    "service.tracing",
}
PURE_MAY = {
    "__future__",
    "collections",
    "difflib",
    "dataclasses",
    "datetime",
    "enum",
    "hashlib",
    "json",
    "re",
    "typing",
    "urllib",
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of everything a module imports at run time, function bodies included."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    """The module, as LAYERS calls it; local is one room."""
    return "local" if name.split(".")[0] == "local" else name


def target(imported: str) -> str | None:
    """The room of ours that an import reaches, or None for another package's."""
    if imported.split(".")[0] != "deployer":
        return None
    name = imported.removeprefix("deployer").lstrip(".")
    while room(name) not in RANK:
        name = name.rpartition(".")[0]
    return room(name)


@pytest.mark.parametrize(
    ("name", "path"), list(modules()), ids=[name or "deployer" for name, _ in modules()]
)
def test_imports_point_down(name: str, path: Path) -> None:
    here = room(name)
    assert here in RANK, f"{name} has no place in LAYERS"
    for imported in imports(path):
        reached = target(imported)
        if reached is not None and reached != here:
            assert RANK[reached] > RANK[here], f"{name} imports {imported}"
        owners = ONLY_IN.get(imported.split(".")[0])
        assert owners is None or here in owners or here.split(".")[0] in owners, (
            f"{name} imports {imported}"
        )
        if here in PURE and reached is None:
            assert imported.split(".")[0] in PURE_MAY, f"{name} is pure, but imports {imported}"


def test_nobody_but_the_command_line_knows_the_local_aws() -> None:
    for name, path in modules():
        if room(name) != "local" and not name.startswith("commands."):
            assert not any(target(imported) == "local" for imported in imports(path)), name
            assert "local" not in {
                node.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Name)
            }, name


def test_one_package_of_the_local_aws_imports_moto() -> None:
    for name, path in modules():
        packages = {imported.split(".")[0] for imported in imports(path)}
        assert "moto" not in packages or name.startswith("local.moto_backend."), name


def test_no_module_hides_one_of_the_standard_library_from_functions() -> None:
    """`runtime.py` runs as a script, so its folder comes first on the path of a function."""
    names = {path.stem for path in (PACKAGE / "local").iterdir()}
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize(
    "path", [ROOT / "train.py", *(ROOT / "lambda_src").rglob("*.py")], ids=lambda path: path.name
)
def test_training_handlers_and_deployer_meet_through_files_only(path: Path) -> None:
    names = {imported.split(".")[0] for imported in imports(path)}
    assert not names & {"deployer", "train"}
    assert "pandas" not in names or path.name == "inputs.py"  # only where a model takes a table
    assert "predict" not in names or path.name == "verify.py"


def test_no_module_is_too_long_to_read() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules()}
    assert not {name: length for name, length in lengths.items() if length > 500}


def arrows() -> str:
    """Return the packages of LAYERS from top to bottom, each at the place of its topmost module."""
    places: dict[str, int] = {}
    for number, names in enumerate(LAYERS[:-1]):
        for name in names:
            places.setdefault(name.split(".")[0], number)
    floors: dict[int, list[str]] = {}
    for package, number in places.items():
        floors.setdefault(number, []).append(package)
    return " → ".join(", ".join(sorted(floors[number])) for number in sorted(floors))


@pytest.mark.parametrize(
    ("page", "before", "after", "prefix"),
    [
        ("deployer/__init__.py", "Imports point down", '\n"""', "Imports point down: "),
        (
            "docs/architecture.md",
            "--regenerate tests/unit/test_imports.py -->\n```text\n",
            "\n```\n<!-- end",
            "",
        ),
    ],
)
def test_the_pages_show_the_order_of_packages(
    page: str, before: str, after: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    start = text.index(before) + (0 if prefix else len(before))
    end = text.index(after, start)
    block = "\n".join(textwrap.wrap(f"{prefix}{arrows()}.", 100))
    if request.config.getoption("--regenerate"):
        path.write_text(f"{text[:start]}{block}{text[end:]}", encoding="utf-8")
        return
    assert text[start:end] == block, "pytest --regenerate tests/unit/test_imports.py"


def test_every_name_on_the_first_page_exists() -> None:
    """Of each `name` in the package's docstring; one that ends in a slash is a package."""
    names = re.findall(r"`([^`]+)`", deployer.__doc__ or "")
    assert len(names) > 10
    for name in names:
        if name.endswith("/"):
            assert (PACKAGE / name / "__init__.py").is_file(), name
        elif name not in VERBS:
            pkgutil.resolve_name(f"deployer.{name}")
