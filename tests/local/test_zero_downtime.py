"""A client that never pauses while releases change: each request is answered, by one release."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from deployer.engine.events import Event
from deployer.images.context import NO_BASE
from deployer.local import process
from deployer.local.process import ACCOUNT, REGION
from deployer.project.settings import Settings, load_settings
from deployer.service.switching import plan_promotion, plan_rollback
from deployer.service.up import plan_up
from tests.support.accounts import connect
from tests.support.models import put_models
from tests.support.thinning import WHOLE

# The local AWS of `live` is shared, so one worker runs its tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live")]

NAMES = ("one", "other")
RELEASES = 10 if WHOLE else 4
PAUSE_S = 0.01  # of the client between two requests, so that the runs get on


def of_release(number: int) -> LinearRegression:
    """Return a model that answers with the number of its release."""
    return LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([number, number]))


def train(project: Path, number: int) -> None:
    """Replace the models by those of another release."""
    manifest_path = project / "models" / "manifest.json"
    manifest = json.loads(manifest_path.read_text())
    for name in NAMES:
        path = project / "models" / f"{name}.joblib"
        joblib.dump(of_release(number), path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest["models"][name] = {"sha256": sha256, "features": [{"name": "x"}]}
    manifest_path.write_text(json.dumps(manifest))


@dataclass
class Client:
    """Sends one request after another over one connection until it is told to stop."""

    url: str
    answers: list[tuple[float, float, set[int]]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        while not self.stopped.is_set():
            begun = time.monotonic()
            connection.request("POST", address.path, b'{"x": 1}')
            response = connection.getresponse()
            record = json.loads(response.read())
            assert (response.status, record["status"]) == (200, "SUCCEEDED"), record
            entries = json.loads(record["output"])
            assert [entry["model"] for entry in entries] == list(NAMES)
            releases = {round(entry["predictions"][0]) for entry in entries}
            self.answers.append((begun, time.monotonic(), releases))
            self.stopped.wait(PAUSE_S)
        connection.close()

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests were begun and answered."""
        begun = time.monotonic()
        while sum(start > begun for start, _, _ in list(self.answers)) < count:
            assert not self.stopped.is_set()
            time.sleep(0.01)


@contextmanager
def calling(url: str) -> Iterator[Client]:
    client = Client(url)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(client.run)
        done.add_done_callback(lambda _: client.stopped.set())
        try:
            yield client
        finally:
            client.stopped.set()
        done.result()  # raises what the client met


@dataclass
class Timeline:
    """Which releases may answer at which time."""

    spans: list[tuple[float, set[int]]] = field(default_factory=list)

    @contextmanager
    def switching(self, before: set[int], after: set[int]) -> Iterator[None]:
        self.spans.append((time.monotonic(), before | after))
        yield
        self.spans.append((time.monotonic(), after))

    def allowed(self, begun: float, ended: float) -> set[int]:
        ends = [start for start, _ in self.spans[1:]] + [float("inf")]
        return set().union(
            *(
                releases
                for (start, releases), end in zip(self.spans, ends, strict=True)
                if start <= ended and end >= begun
            )
        )


def settings_of(project: Path) -> Settings:
    located = load_settings(project, {}, {}).located(
        account=ACCOUNT, partition="aws", region=REGION
    )
    return replace(located, base_image=NO_BASE)


def test_no_request_fails_and_none_mixes_releases_whatever_goes_live(live: Path) -> None:
    """Four releases, with TESTS=every ten; then a canary, its promotion, and a rollback."""
    put_models(live, {name: (of_release(1), {"features": [{"name": "x"}]}) for name in NAMES})
    server = process.find(live)
    assert server is not None
    settings = settings_of(live)
    timeline = Timeline()
    with ThreadPoolExecutor(8) as pool:

        def tell(event: Event) -> None:
            return None

        def place() -> Any:
            return connect(server), settings, pool, tell

        def go(before: set[int], after: set[int], plan: Callable[[], Any]) -> Any:
            with timeline.switching(before, after):
                return plan().apply(lambda: False)

        outputs = go({1}, {1}, lambda: plan_up(*place()))
        with calling(outputs["url"]) as client:
            for number in range(2, RELEASES + 1):
                train(live, number)
                go({number - 1}, {number}, lambda: plan_up(*place()))
                client.wait_for(2)
            newest = RELEASES + 1
            train(live, newest)
            go({RELEASES}, {RELEASES, newest}, lambda: plan_up(*place(), canary=50))
            client.wait_for(30)
            go({RELEASES, newest}, {newest}, lambda: plan_promotion(*place()))
            client.wait_for(5)
            go({newest}, {3}, lambda: plan_rollback(connect(server), settings, pool, tell, 3))
            client.wait_for(5)
    for begun, ended, releases in client.answers:
        assert len(releases) == 1, "an answer of two releases"
        assert releases <= timeline.allowed(begun, ended)
    answered = set().union(*(releases for _, _, releases in client.answers))
    assert answered == set(range(1, newest + 1))
