"""The pages are true: their examples run, and their tables and pictures match the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deployer.cli import VERBS, cli
from deployer.hints import DISTRIBUTION
from deployer.local import process
from deployer.project.settings import FunctionSettings, Settings, settings_table
from deployer.project.template import EXAMPLES
from deployer.service import declare, rest_contract
from deployer.service.invoke import find_url
from tests.support.accounts import connect
from tests.support.command_line import deployer
from tests.support.projects import ROOT

# Its tests share a server, so one worker runs them all.
pytestmark = pytest.mark.xdist_group("docs")

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
API, AWS, CI, OWN_MODELS, RECOVERY, REFERENCE, START = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in ("api", "aws", "ci", "own_models", "recovery", "reference", "start")
)
BEGIN, END = "<!-- settings -->", "<!-- end of settings -->"
SAMPLE = json.loads((ROOT / "samples" / "boston_housing.json").read_text())


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_picture_of_the_workflow_is_drawn_from_state_machine_json() -> None:
    done = subprocess.run([sys.executable, "docs/draw_workflow.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "run python docs/draw_workflow.py"


def test_the_table_of_settings_is_that_of_the_code(request: pytest.FixtureRequest) -> None:
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |"
        for name, default, meaning in settings_table()
    ]
    table = "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])
    page = DOCS / "settings.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    shown, _, after = rest.partition(END)
    if request.config.getoption("--regenerate"):
        page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
        return
    assert shown.strip() == table, "docs/settings.md differs; pytest --regenerate"


def test_the_first_minutes_are_those_of_a_new_project() -> None:
    block = next(block for block in blocks("sh", README) if "deployer init" in block)
    assert block in blocks("sh", START)
    first = block.splitlines()
    environment, install, init, *rest = first[:2], *first[2:]
    assert environment == ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert install == f"python -m pip install '{DISTRIBUTION}[local]'"
    assert init == "python -m deployer init shop"
    page = (ROOT / "examples" / EXAMPLES[0] / "README.md").read_text(encoding="utf-8")
    commands, end = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert rest == ["cd shop", *commands.splitlines()]
    assert f"`{end.strip().removesuffix(' --yes')}` deletes" in README.replace("\n", " ")


def test_the_page_on_projects_shows_what_init_writes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "projects.md").read_text(encoding="utf-8")
    command = re.findall(r"^python -m deployer (init shop .*)$", page, re.MULTILINE)[0]
    assert f"```text\n{deployer(tmp_path, *command.split()).out}```\n" in page
    written = {path.name for path in (tmp_path / "shop").iterdir()} - {"README.md", ".gitignore"}
    files = re.findall(
        r"^\| `([\w./-]+)` \| (?!to begin)",
        page.partition("## The files")[2].partition("\n## ")[0],
        re.M,
    )
    assert {name.partition("/")[0] for name in files} == written
    listed = re.findall(r"^\| `(\w+)` \|", page.partition("## The files")[0], re.MULTILINE)
    assert tuple(listed) == EXAMPLES
    (train,) = re.findall(r"^train = .*$", page, re.MULTILINE)
    assert train in (tmp_path / "shop" / "setup.cfg").read_text().splitlines()


def test_every_command_is_in_the_table_and_no_other() -> None:
    described = re.findall(r"^\| \[`(\w+)`\]\(#\1\) \|", REFERENCE, re.MULTILINE)
    assert sorted(described) == sorted(VERBS)


def test_the_makefile_runs_what_the_readme_says() -> None:
    """Every command in the table is one of the Makefile's, flags of pip's looks aside."""
    makefile = (
        (ROOT / "Makefile")
        .read_text()
        .replace("$(BIN)", ".venv/bin")
        .replace("$(PYTHON)", "python3")
    )
    makefile = makefile.replace(" $(PIP_FLAGS)", "")
    rows = [line for line in README.splitlines() if re.match(r"\| `make \w+` \|", line)]
    commands = [
        command for row in rows for command in re.findall(r"`([^`]*(?:python|pip)[^`]*)`", row)
    ]
    assert len(commands) >= 5
    for command in commands:
        assert command in makefile, command


def test_the_benchmarks_that_the_docs_name_know_their_options() -> None:
    texts = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"`python (benchmarks/\w+\.py)((?: [^`]*)?)`", texts))
    assert {script for script, _ in named} >= {
        f"benchmarks/{name}.py" for name in ("deploy", "inference", "local", "many")
    }
    for script in {script for script, _ in named}:
        done = subprocess.run(
            [sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        for option in (
            option
            for name, options in named
            if name == script
            for option in re.findall(r"--[\w-]+", options)
        ):
            assert option in done.stdout, f"{script} {option}"


def test_the_default_memory_is_the_recommended_one() -> None:
    """benchmarks/inference.py --memory says which; its table stands in docs/performance.md."""
    (recommended,) = re.findall(
        r"^\| \*\*(\d+)\*\* \|", (ROOT / "docs" / "performance.md").read_text(), re.MULTILINE
    )
    assert int(recommended) == FunctionSettings().memory_mb


def test_links_lead_somewhere() -> None:
    pages = (*DOCS.glob("*.md"), *(ROOT / "examples").rglob("*.md"), *ROOT.glob("*.md"))
    for path in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize(
    "page",
    [
        "README",
        "CONTRIBUTING",
        "docs/architecture",
        "docs/clients",
        "docs/cold_starts",
        "docs/images",
        "docs/local",
        "docs/own_models",
        "docs/performance",
        "docs/plan",
        "docs/projects",
        "docs/security",
        "docs/workflows",
    ],
)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """A bare file name stands for one of deployer/, lambda_src/ or the top level."""
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    for name in re.findall(
        r"`((?:deployer|lambda_src|tests|docs|benchmarks)/[^`\s]*|\w+\.py)`", text
    ):
        if "<" in name or name == "lambda_src/base.lock":  # the first `up` writes it
            continue
        assert (ROOT / name).exists() or (
            "/" not in name
            and any(any((ROOT / folder).rglob(name)) for folder in ("deployer", "lambda_src"))
        ), f"{page}.md: {name}"


REFUSED = "InvalidInput: instances: holds 0 records"
# By kind of API: how its clients say that the input was refused.
SAYS = {"http": f"FAILED: {REFUSED}", "rest": f"HTTP 400: {REFUSED}"}
kinds = pytest.mark.parametrize("kind", SAYS)


@pytest.fixture
def urls(deployed: Path) -> Iterator[dict[str, str]]:
    """The URL of the deployed HTTP API, and that of a REST API to the same workflow.

    It is gone after each test: a deploy would plan its deletion.
    """
    server = process.find(deployed)
    assert server is not None
    aws = connect(server)
    settings = Settings(project=deployed).located(
        account="123456789012", partition="aws", region="us-east-1"
    )
    rest = declare.rest_api(settings)
    endpoint = rest.create(aws, rest.fields)["endpoint"]
    yield {"http": find_url(aws, settings), "rest": f"{endpoint}/"}
    rest.delete(aws)


def example(language: str, kind: str, contains: str = "") -> str:
    """Return the example in a language of the page's section about a kind of API."""
    section = API.partition(f"\n## `api = {kind}`")[2].partition("\n## ")[0]
    (block,) = (block for block in blocks(language, section) if contains in block)
    return block


@kinds
def test_the_example_client_predicts(urls: dict[str, str], kind: str) -> None:
    names: dict[str, Any] = {}
    exec(example("python", kind), names)
    found = names["predict"](urls[kind], [SAMPLE, SAMPLE])
    assert set(found) == {"linear_regression", "random_forest", "support_vector"}
    assert all(len(predictions) == 2 for predictions in found.values())
    with pytest.raises(RuntimeError, match=SAYS[kind]):
        names["predict"](urls[kind], [])


@kinds
def test_the_javascript_client_predicts(urls: dict[str, str], kind: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    calls = f"""
    (async () => {{
      const found = await predict("{urls[kind]}", [{json.dumps(SAMPLE)}, {json.dumps(SAMPLE)}]);
      const refused = await predict("{urls[kind]}", []).catch((error) => error.message);
      console.log(JSON.stringify({{found, refused}}));
    }})();"""
    done = subprocess.run(
        ["node", "-e", example("js", kind) + calls], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert set(answer["found"]) == {"linear_regression", "random_forest", "support_vector"}
    assert all(len(predictions) == 2 for predictions in answer["found"].values())
    assert answer["refused"].startswith(SAYS[kind])


@kinds
def test_the_curl_example_predicts(urls: dict[str, str], kind: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        ["sh", "-c", example("sh", kind, "curl")],
        cwd=ROOT,
        env={"URL": urls[kind], "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    answer = json.loads(done.stdout)
    assert len(json.loads(answer["output"]) if kind == "http" else answer["results"]) == 3


def test_the_section_of_each_kind_fits_on_a_screen() -> None:
    for kind in SAYS:
        section = API.partition(f"\n## `api = {kind}`")[2].partition("\n## ")[0]
        assert len(section.splitlines()) <= 70, kind


def test_the_statuses_of_the_rest_api_are_documented(urls: dict[str, str]) -> None:
    shown = set(re.findall(r"^\| (\d{3}) \| ", API, re.MULTILINE))
    gateway = {status for status, _, _ in rest_contract.GATEWAY_RESPONSES.values() if status}
    # 401 is an authorizer's, which the REST API does not have.
    assert shown == ({*rest_contract.STATUSES, *gateway} - {"200", "401"})


def test_the_shown_output_is_what_invoke_prints(deployed: Path) -> None:
    """Equal but for digits and versions, which depend on the libraries that trained."""
    (shown,) = blocks("text", README)
    assert shown in blocks("text", START)
    printed = deployer(deployed, "invoke", "--sample", "--local").out

    def shape(text: str) -> list[str]:
        return [
            re.sub(r"(?<=^request )\S+|\b[0-9a-f]{12}\b|[0-9.]+", "#", line.rstrip())
            for line in text.strip().splitlines()
        ]

    assert shape(printed) == shape(shown)


def test_the_shown_costs_are_what_plan_prints(deployed: Path) -> None:
    """Equal but for the models' size, which depends on the libraries that trained."""
    shown = next(block for block in blocks("text", AWS) if block.startswith("Cost "))
    printed = deployer(deployed, "plan", "--local", "--cost").out.partition("\n\n")[2]
    lines = [row for row in printed.splitlines() if not re.match(r"  (assumed|sources):", row)]

    def known(rows: list[str]) -> list[str]:
        return [re.sub(r"(?<=^idle: S3).*", "", row.rstrip()) for row in rows]

    assert known(lines) == known(shown.splitlines())


@pytest.mark.parametrize(
    "text",
    [README, START, AWS, CI, OWN_MODELS],
    ids=["README", "start", "aws", "ci", "own_models"],
)
def test_the_commands_of_the_first_pages_run(text: str, deployed: Path) -> None:
    """The account is the local one; each command runs once, and what began is not ended here."""
    lines = "".join(blocks("sh", text)).replace("$(", "\n").replace(")\n", "\n").splitlines()
    commands = {
        line.partition("-m deployer ")[2].partition(" > ")[0]
        for line in lines
        if "python -m deployer" in line
    }
    apart = [line for line in commands if re.match(r"init|add|remove|down|policy", line)]
    assert len(commands) > len(apart)
    for command in sorted(commands - set(apart)):
        arguments = shlex.split(command)
        deployer(deployed, *arguments, *([] if "--local" in arguments else ["--local"]))
    for command in apart:
        result = CliRunner().invoke(cli, [*shlex.split(command), "--help"])
        assert result.exit_code == 0 and all(
            option in result.output for option in re.findall(r"--[a-z]+", command)
        ), command


def test_the_shown_drift_is_what_plan_prints(deployed: Path) -> None:
    shown = next(block for block in blocks("text", RECOVERY) if "deployer plan" in block)
    server = process.find(deployed)
    assert server is not None
    aws = connect(server)
    aws.call(
        "lambda",
        "update_function_configuration",
        FunctionName="inference-dev-random-forest",
        MemorySize=512,
    )
    printed = deployer(deployed, "plan", "--local").out
    deployer(deployed, "up", "--local")
    assert printed.splitlines() == shown.splitlines()[1:]


def test_error_cases_are_documented_as_they_are(deployed: Path) -> None:
    for name in ("InvalidInput", "InvalidExecutionInput", "ValidationException", "NoModelAnswered"):
        assert f"`{name}`" in API
    definition = json.loads((ROOT / "state_machine.json").read_text())
    task = definition["States"]["Predict"]["Branches"][0]["States"]["linear_regression"]
    assert (
        f"workflow {definition['TimeoutSeconds']} s" in API
        and f"model {task['TimeoutSeconds']} s" in API
    )


def test_the_project_speaks_of_itself_alone() -> None:
    """No tracked file contains a path of a developer's machine."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        content = (ROOT / name).read_bytes().decode(errors="replace")
        assert (
            not re.search(r"/(?:home|Users|work|root)/[a-z]", content)
            or name == "tests/docs/test_docs.py"
        ), name
