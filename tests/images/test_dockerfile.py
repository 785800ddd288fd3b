"""Parsing Dockerfiles, and interpreting them for the direct builder as Docker would run them."""

from __future__ import annotations

from shutil import copytree

import pytest

from deployer.errors import BuildError
from deployer.images.context import NO_BASE, Context
from deployer.images.dockerfile import read_dockerfile
from deployer.images.recipe import interpret, requirement_files
from tests.support.projects import ROOT

ENVIRONMENT = {"LAMBDA_TASK_ROOT": "/var/task", "PATH": "/bin"}


@pytest.fixture
def interpreted(folder):
    """Return a function that interprets the text of a Dockerfile in a folder with a few files."""

    def interpret_text(text, base="python:3.12"):
        (folder / "Dockerfile").write_text(text)
        (folder / "requirements.txt").write_text("numpy==2.2.6\n")
        return interpret(Context(folder, base, "x86_64", "3.12"), ENVIRONMENT, "/var/task")

    return interpret_text


@pytest.mark.parametrize(
    "text, command, environment",
    [
        ('FROM x\nCMD ["predict.handler"]', ("predict.handler",), {}),
        ('from x\ncmd ["predict.handler"]', ("predict.handler",), {}),
        ('FROM x\nCMD ["a"]\nCMD ["b", "c"]', ("b", "c"), {}),
        ('# CMD ["no"]\n\n  # ENV X=1\nCMD ["a"]\n# end', ("a",), {}),
        ('ENV A=1 B=2\nENV B=3\nCMD ["a"]', ("a",), {"A": "1", "B": "3"}),
        ('ENV A="one two" B=\'x=y\' C=\nCMD ["a"]', ("a",), {"A": "one two", "B": "x=y", "C": ""}),
        (
            'ENV A=1 \\\n    B=2 \\\n    # between\n\n    C=3\nCMD ["a"]',
            ("a",),
            {"A": "1", "B": "2", "C": "3"},
        ),
        (
            'ENV PATH=/opt/bin:$PATH HOME=${LAMBDA_TASK_ROOT}/x\nCMD ["a"]',
            ("a",),
            {"PATH": "/opt/bin:/bin", "HOME": "/var/task/x"},
        ),
        ('CMD [ \\\n "a" \\\n ]', ("a",), {}),
    ],
    ids=[
        "plain",
        "lower case",
        "last wins",
        "comments",
        "ENV",
        "quotes",
        "continued",
        "variables",
        "continued CMD",
    ],
)
def test_command_and_environment(interpreted, text, command, environment):
    recipe = interpreted(text)
    assert (recipe.command, recipe.environment) == (command, {**ENVIRONMENT, **environment})


@pytest.mark.parametrize(
    "instructions, names",
    [
        ("COPY predict.py ./", {"var/task/predict.py"}),
        ("COPY predict.py .", {"var/task/predict.py"}),
        ("COPY predict.py answer.py", {"var/task/answer.py"}),
        ("COPY predict.py ${LAMBDA_TASK_ROOT}/", {"var/task/predict.py"}),
        # A destination that is a folder already needs no slash at its end.
        ("COPY predict.py ${LAMBDA_TASK_ROOT}", {"var/task/predict.py"}),
        ('COPY ["predict.py", "$LAMBDA_TASK_ROOT"]', {"var/task/predict.py"}),
        ("WORKDIR /app\nCOPY predict.py ${LAMBDA_TASK_ROOT}", {"var/task/predict.py"}),
        ("WORKDIR /app\nWORKDIR /\nCOPY predict.py /app", {"app/predict.py"}),
        ("WORKDIR /app/lib\nCOPY predict.py ..", {"app/predict.py"}),
        ("COPY predict.py /opt", {"opt/predict.py"}),
        (
            "COPY package /made/sub\nCOPY predict.py /made",
            {"made/sub/__init__.py", "made/predict.py"},
        ),
        (
            "COPY predict.py /made/\nCOPY requirements.txt /made",
            {"made/predict.py", "made/requirements.txt"},
        ),
        ("COPY package ${LAMBDA_TASK_ROOT}", {"var/task/__init__.py"}),
        ("COPY predict.py /new", {"new"}),
        ("COPY predict.py ${LAMBDA_TASK_ROOT}/new", {"var/task/new"}),
        ('COPY ["predict.py", "/opt/x/"]', {"opt/x/predict.py"}),
        (
            "COPY predict.py requirements.txt ./",
            {"var/task/predict.py", "var/task/requirements.txt"},
        ),
        ("COPY package ./package", {"var/task/package/__init__.py"}),
        ("COPY package ./", {"var/task/__init__.py"}),
        ("COPY *.py ./", {"var/task/predict.py"}),
        ("COPY pack*/*.py ./", {"var/task/__init__.py"}),
        ("WORKDIR /app\nCOPY predict.py ./", {"app/predict.py"}),
        ("WORKDIR sub\nCOPY predict.py ./", {"var/task/sub/predict.py"}),
    ],
)
def test_copy_puts_files_where_docker_would(interpreted, instructions, names):
    assert set(interpreted(f'FROM x\n{instructions}\nCMD ["a"]').files) == names


def test_copying_everything_takes_the_whole_context(interpreted):
    names = {"Dockerfile", "predict.py", "package/__init__.py", "requirements.txt"}
    assert set(interpreted('FROM x\nCOPY . .\nCMD ["a"]').files) == {
        f"var/task/{name}" for name in names
    }


@pytest.mark.parametrize(
    "line",
    [
        "pip install -r requirements.txt",
        "python -m pip install --no-cache-dir --requirement requirements.txt",
    ],
)
def test_pip_installs_from_a_copied_file(interpreted, folder, line):
    recipe = interpreted(f'FROM x\nCOPY requirements.txt ./\nRUN {line}\nCMD ["a"]')
    assert recipe.requirements == [folder / "requirements.txt"]
    assert recipe.target is None
    assert requirement_files(Context(folder, "x", "x86_64")) == recipe.requirements


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ('-r requirements.txt --target "${LAMBDA_TASK_ROOT}"', "/var/task"),
        ("-r requirements.txt --target $LAMBDA_TASK_ROOT/lib", "/var/task/lib"),
        ("-r requirements.txt --target=/opt/python/", "/opt/python"),
        ("--no-cache-dir -U -r requirements.txt -t .", "/var/task"),
        ("--requirement=requirements.txt -t/opt/python", "/opt/python"),
        ("-rrequirements.txt -t .", "/var/task"),
        ('-t ./lib -r "${LAMBDA_TASK_ROOT}/requirements.txt"', "/var/task/lib"),
    ],
)
def test_pip_installs_into_its_target(interpreted, folder, options, target):
    recipe = interpreted(f'FROM x\nCOPY requirements.txt ./\nRUN pip3 install {options}\nCMD ["a"]')
    assert (recipe.requirements, recipe.target) == ([folder / "requirements.txt"], target)
    assert requirement_files(Context(folder, "x", "x86_64")) == recipe.requirements


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("LABEL a=1 b='two words'", {"a": "1", "b": "two words"}),
        ('LABEL "org.example/a"="$LAMBDA_TASK_ROOT"', {"org.example/a": "/var/task"}),
        ("LABEL maintainer Jane  Doe", {"maintainer": "Jane  Doe"}),  # the older form
        ("LABEL note a=b", {"note": "a=b"}),
        ("LABEL a=1\nLABEL a=2 b=3", {"a": "2", "b": "3"}),
    ],
)
def test_labels(interpreted, text, labels):
    assert interpreted(f'FROM x\n{text}\nCMD ["a"]').labels == labels


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("EXPOSE 8080", ["8080/tcp"]),
        ("EXPOSE 80/TCP 53/udp", ["80/tcp", "53/udp"]),
        ("EXPOSE 8000-8002", ["8000/tcp", "8001/tcp", "8002/tcp"]),
        ("ENV PORT=9000\nEXPOSE $PORT", ["9000/tcp"]),
    ],
)
def test_ports(interpreted, text, ports):
    assert interpreted(f'FROM x\n{text}\nCMD ["a"]').ports == ports


def test_user_maintainer_and_healthcheck(interpreted):
    recipe = interpreted(
        "FROM x\nENV ID=1000\nUSER $ID:app\nMAINTAINER Jane <jane@example.org>\n"
        'HEALTHCHECK --interval=5s CMD curl -f $URL || exit 1\nCOPY predict.py ./\nCMD ["a"]'
    )
    assert (recipe.user, recipe.author) == ("1000:app", "Jane <jane@example.org>")
    assert set(recipe.files) == {"var/task/predict.py"}


def test_pip_may_run_as_root(interpreted, folder):
    text = "FROM x\nUSER root\nCOPY . .\nRUN pip install -r requirements.txt\nUSER 1000\n"
    recipe = interpreted(text + 'CMD ["a"]')
    assert (recipe.requirements, recipe.user) == ([folder / "requirements.txt"], "1000")


@pytest.mark.parametrize(
    "options, needs_all",
    [
        (["", ""], True),
        (["--no-deps"], False),
        (["--no-deps", ""], True),
        (["", "--no-deps"], True),
    ],
)
def test_pip_may_leave_out_what_packages_need(interpreted, folder, options, needs_all):
    (folder / "requirements.txt").write_text("a==1\n")
    lines = [f"RUN pip install {option} -r requirements.txt" for option in options]
    text = "\n".join(["FROM x", "COPY . .", *lines, 'CMD ["a"]'])
    assert interpreted(text).needs_all == needs_all


def test_a_tab_separates_like_a_space(interpreted):
    assert set(interpreted('FROM x\nCOPY\tpredict.py\t./\nCMD\t["a"]').files) == {
        "var/task/predict.py"
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("CMD predict.handler", "line 2: CMD predict.handler: must be a JSON array of words"),
        ("CMD []", "line 2: CMD []: must be a JSON array of words"),
        ("CMD [1]", "line 2: CMD [1]: must be a JSON array of words"),
        ("CMD ['a']", "line 2: CMD ['a']: Expecting value"),
        ("#\n\nENV A 1", "line 4: ENV A 1: must be NAME=value pairs"),
        ("ENV", "line 2: ENV : must be NAME=value pairs"),
        ('ENV A="1', 'line 2: ENV A="1: No closing quotation'),
        ("ENV A=1 \\\n  B", "line 2: ENV A=1"),
        ("ENV A=${B:-1}", "line 2: ENV A=${B:-1}: only $NAME and ${NAME} are understood"),
        ("ENV A=$NOTHING", "line 2: ENV A=$NOTHING: $NOTHING has no value here"),
        ("COPY predict.py", "line 2: COPY predict.py: needs a source and a destination"),
        ("COPY nothing.py ./", "line 2: COPY nothing.py ./: source/ has no nothing.py"),
        ("COPY ../x ./", "line 2: COPY ../x ./: a source must lie in the context"),
        (
            "COPY --from=other x ./",
            "line 2: COPY --from=other x ./: flags of COPY are not understood",
        ),
        ("ADD predict.py ./", "line 2: ADD predict.py ./: is not understood without an engine"),
        (
            "RUN dnf install -y gcc",
            "line 2: RUN dnf install -y gcc: RUN is understood for pip install -r alone",
        ),
        ("RUN pip install numpy", "line 2: RUN pip install numpy: numpy is not understood"),
        (
            "RUN pip install -r requirements.txt",
            "line 2: RUN pip install -r requirements.txt: /var/task/requirements.txt is not",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt && rm x",
            "line 3: RUN pip install -r requirements.txt && rm x: &&",
        ),
        ("RUN pip install ", "line 2: RUN pip install"),
        ("VOLUME /x", "line 2: VOLUME /x: is not understood without an engine"),
        ("USER", "line 2: USER : names no user"),
        ("EXPOSE http", "line 2: EXPOSE http: http is no port"),
        ("EXPOSE 9-8", "line 2: EXPOSE 9-8: 9-8 is no port"),
        ("LABEL a", "line 2: LABEL a: must be NAME=value pairs"),
        (
            "COPY . .\nUSER nobody\nRUN pip install -r requirements.txt",
            "line 4: RUN pip install -r requirements.txt: RUN after USER is not understood",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt\n"
            "RUN pip install -t /x -r requirements.txt",
            "line 4: RUN pip install -t /x -r requirements.txt: another RUN installs into another",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt --target",
            "line 3: RUN pip install -r requirements.txt --target: --target needs a folder",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt -t .;rm x",
            "line 3: RUN pip install -r requirements.txt -t .;rm x: ; is not understood",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt -t '${LAMBDA_TASK_ROOT}'",
            "line 3: RUN pip install -r requirements.txt -t '${LAMBDA_TASK_ROOT}': this shell",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt -t `pwd`",
            "line 3: RUN pip install -r requirements.txt -t `pwd`: this shell syntax",
        ),
        (
            "COPY . .\nRUN pip install -r requirements.txt -t $(pwd)",
            "line 3: RUN pip install -r requirements.txt -t $(pwd): only $NAME and ${NAME}",
        ),
        ("FROM y", "line 2: FROM y: one stage alone is understood"),
        ("ARG A=1", "line 2: ARG A=1: ARG is understood before FROM"),
        ("ENV A=1", "has no CMD"),
    ],
)
def test_unsupported_instructions_are_refused_by_their_line(interpreted, folder, text, message):
    with pytest.raises(BuildError) as caught:
        interpreted(f"FROM x\n{text}")
    assert caught.value.message.startswith(f"{folder / 'Dockerfile'} {message}")


@pytest.mark.parametrize("text", ["RUN dnf install -y gcc", "VOLUME /x", "RUN pip install numpy"])
def test_advice_names_the_builder_that_supports_the_instruction(interpreted, text):
    with pytest.raises(BuildError) as caught:
        interpreted(f"FROM x\n{text}")
    assert "--builder docker" in caught.value.advice


def test_without_a_base_nothing_is_run(interpreted):
    recipe = interpreted(
        'FROM x\nRUN dnf install gcc\nUSER 1000\nCOPY predict.py ./\nCMD ["a"]', NO_BASE
    )
    assert (set(recipe.files), recipe.requirements) == ({"var/task/predict.py"}, [])


def test_copy_to_a_folder_means_the_same_without_a_base(interpreted):
    recipe = interpreted('FROM x\nCOPY predict.py ${LAMBDA_TASK_ROOT}\nCMD ["a"]', NO_BASE)
    assert set(recipe.files) == {"var/task/predict.py"}


@pytest.mark.parametrize(
    "text, chosen, base",
    [
        ("FROM python:3.12-slim", None, "python:3.12-slim"),
        ("FROM --platform=linux/amd64 python:3.12 AS build", None, "python:3.12"),
        ("ARG BASE=python:3.12\nFROM ${BASE}", None, "python:3.12"),
        ("ARG BASE=python:3.12\nFROM $BASE", "other:1", "other:1"),
        ("ARG BASE\nFROM ${BASE}", "other:1", "other:1"),
        ("ARG VERSION=3.12\nFROM python:${VERSION}", "other:1", "python:3.12"),
    ],
)
def test_from_names_the_base(folder, text, chosen, base):
    (folder / "Dockerfile").write_text(text)
    dockerfile = read_dockerfile(folder / "Dockerfile")
    assert dockerfile.base(chosen) == base
    assert dockerfile.takes_base == ("BASE" in text)


@pytest.mark.parametrize(
    "text, message",
    [("CMD x", "has no FROM"), ("FROM", "names no image"), ("FROM $X", "has no value")],
)
def test_a_dockerfile_without_a_base_is_refused(folder, text, message):
    (folder / "Dockerfile").write_text(text)
    with pytest.raises(BuildError, match=message):
        read_dockerfile(folder / "Dockerfile").base(None)


def test_the_shipped_dockerfile_is_understood():
    context = Context(ROOT / "lambda_src", "x", "x86_64", "3.12")
    recipe = interpret(context, ENVIRONMENT, "/var/task")
    assert recipe.command == ("predict.handler",)
    assert {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "FAST_PATHS": "on",
    }.items() <= recipe.environment.items()
    names = {
        "predict.py",
        "contract.py",
        "debugging.py",
        "inputs.py",
        "loading.py",
        "outputs.py",
        "signature.py",
        "storage.py",
        "requirements.txt",
    }
    names |= {f"fast/{path.name}" for path in (ROOT / "lambda_src" / "fast").glob("*.py")}
    assert set(recipe.files) == {f"var/task/{name}" for name in names}
    assert (
        recipe.requirements == requirement_files(context) == [ROOT / "lambda_src/requirements.txt"]
    )
    assert context.dockerfile.takes_base


@pytest.mark.parametrize("base", ["x", NO_BASE], ids=["on a base", "local"])
def test_a_file_of_the_users_own_beside_the_handler_is_in_the_image(tmp_path, base):
    """Without a change of the Dockerfile; verify.py stays out of it."""
    folder = copytree(ROOT / "lambda_src", tmp_path / "lambda_src")
    (folder / "currencies.py").write_text("EURO = 1\n")
    (folder / "notes.txt").write_text("for the authors\n")
    files = interpret(Context(folder, base, "x86_64", "3.12"), ENVIRONMENT, "/var/task").files
    assert files["var/task/currencies.py"] == folder / "currencies.py"
    assert not {"var/task/verify.py", "var/task/notes.txt"} & set(files)
