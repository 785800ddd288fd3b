"""The states that an execution environment passes through, under the client of `runtime.py`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployer.local.environment import Environment, State
from deployer.local.functions import standard_library_client
from deployer.local.invocation import Version

HANDLER = """
import os, time


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.005)


def main(event, context):
    wait_for(event)
    return os.getpid()


wait_for("started")
"""


def becomes(environment: Environment, state: State) -> bool:
    end = time.monotonic() + 20
    while environment.state is not state and time.monotonic() < end:
        time.sleep(0.005)
    return environment.state is state


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Environment]]:
    """Makes environments whose init ends when there is a file `started`."""
    (tmp_path / "app.py").write_text(HANDLER)
    version = Version(
        "arn:aws:lambda:us-east-1:123456789012:function:name:1",
        "name",
        "1",
        tmp_path,
        "app.main",
        {},
        20.0,
        512,
    )
    made: list[Environment] = []

    def make() -> Environment:
        made.append(Environment(version, standard_library_client(), {}, lambda *line: None))
        return made[-1]

    yield make
    for environment in made:
        environment.close()


def test_an_environment_is_starting_ready_busy_ready_and_ended(
    make: Callable[[], Environment], tmp_path: Path
) -> None:
    environment = make()
    first = environment.state
    assert first is State.STARTING
    (tmp_path / "started").touch()
    assert environment.wait_until_ready() is None and environment.state is State.READY
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(environment.invoke, b'"go"')
        assert becomes(environment, State.BUSY)
        (tmp_path / "go").touch()
        response = answer.result()
    assert response is not None and not response.is_error
    assert environment.state is State.READY
    os.kill(int(response.payload), 9)
    assert becomes(environment, State.ENDED) and not environment.is_alive()
    assert environment.invoke(b"{}") is None  # the next environment gets this request


def test_an_environment_that_has_ended_stays_ended(make: Callable[[], Environment]) -> None:
    environment = make()
    environment.close()
    assert environment.state is State.ENDED
    failure = environment.wait_until_ready()
    assert failure is not None and b"the environment was ended" in failure.payload
    environment.fail_init(b"{}")
    environment.close()
    assert environment.next_invocation(lambda: True) is None
    assert not environment.respond("1", b"{}", is_error=False)
    assert environment.state is State.ENDED
    with pytest.raises(AssertionError, match="ENDED to READY"):
        environment._enter(State.READY)


def test_a_function_finds_its_variables_as_they_were_set(tmp_path: Path) -> None:
    code = "import os\n\n\ndef main(event, context):\n    return os.environ[event]\n"
    (tmp_path / "app.py").write_text(code)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:name:1"
    variables = {"MODE": 'a "b" = 100%', "EMPTY": "", "WORD": "ü"}
    version = Version(arn, "name", "1", tmp_path, "app.main", variables, 20.0, 512)
    environment = Environment(version, standard_library_client(), {}, lambda *line: None)
    try:
        assert environment.wait_until_ready() is None
        for name, text in variables.items():
            response = environment.invoke(json.dumps(name).encode())
            assert response is not None and json.loads(response.payload) == text
    finally:
        environment.close()
