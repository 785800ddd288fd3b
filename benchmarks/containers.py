"""Run the compared handlers in containers, with a share of the CPUs and a limit of memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import handlers
from handlers import MODULES, ROOT

STORAGE_PORT = 9000
DOCKERFILES = {
    "usual": "ARG BASE\nFROM ${BASE}\nCOPY requirements.txt ./\nRUN pip install -r "
    "requirements.txt pandas\n"
    'COPY usual.py ./\nCMD ["usual.handler"]\n',
    "empty": 'ARG BASE\nFROM ${BASE}\nCOPY empty.py ./\nCMD ["empty.handler"]\n',
}


class Images:
    """The handlers' images in a Docker engine, on one network with an S3."""

    images: Sequence[str] = tuple(MODULES)

    def __init__(self, engine: Any, folder: Path, base: str) -> None:
        self.engine, self.folder = engine, folder
        mark = uuid.uuid4().hex[:8]
        self.names = {name: f"benchmark-{name}:{mark}" for name in self.images}
        self._network = engine.networks.create(f"benchmark-{mark}", driver="bridge")
        self._base = base
        self.url = f"http://s3-{mark}:{STORAGE_PORT}"
        self.sizes: dict[str, int] = {}  # bytes above the base, compressed

    @classmethod
    @contextmanager
    def opened(cls, engine: Any, folder: Path, base: str) -> Iterator[Images]:
        images = cls(engine, folder, base)
        storage = None
        try:
            images._build()
            storage = images._run(
                "empty",
                ["/given/storage_server.py", "/given/project/models", "0.0.0.0", str(STORAGE_PORT)],
                entrypoint="python3",
                name=images.url.split("/")[2].partition(":")[0],
            )
            yield images
        finally:
            if storage is not None:
                storage.remove(force=True)
            for name in images.names.values():
                images._remove(name)
            images._network.remove()
            engine.close()

    def _remove(self, name: str) -> None:
        import docker

        with suppress(docker.errors.ImageNotFound):  # it was not built
            self.engine.images.remove(name, force=True)

    def _build(self) -> None:
        self.sizes["ours"] = self.build_direct("ours", self.folder / "project")
        shutil.copy2(ROOT / "lambda_src" / "requirements.txt", self.folder)
        self.build_by_engine(DOCKERFILES)

    def build_by_engine(self, dockerfiles: Mapping[str, str]) -> None:
        shutil.copy2(ROOT / "benchmarks" / "storage_server.py", self.folder)
        for name, text in dockerfiles.items():
            (self.folder / f"Dockerfile.{name}").write_text(text)
            self.engine.images.build(
                path=str(self.folder),
                dockerfile=f"Dockerfile.{name}",
                tag=self.names[name],
                buildargs={"BASE": self._base},
                network_mode="host",
                rm=True,
            )

    def build_direct(self, name: str, project: Path) -> int:
        """Build a project's image by the direct builder; return its bytes above the base."""
        archive = self.folder / "ours.tar"
        command = [
            sys.executable,
            "-m",
            "deployer",
            "image",
            "--builder",
            "direct",
            "--json",
            "--output",
            str(archive),
        ]
        environment = {**os.environ, "DEPLOYER_BASE_IMAGE": self._base}
        done = subprocess.run(
            command, cwd=project, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        described = json.loads(done.stdout)
        with archive.open("rb") as file:
            (image,) = self.engine.images.load(file)
        image.tag(self.names[name])
        self._remove(described["image"])
        archive.unlink()
        return sum(layer["bytes"] for layer in described["layers"] if layer["what"] != "base")

    def _run(self, image: str, command: list[str] | None, **options: Any) -> Any:
        given = {str(self.folder): {"bind": "/given", "mode": "ro"}}
        return self.engine.containers.run(
            self.names[image],
            command,
            detach=True,
            network=self._network.name,
            volumes=given,
            **options,
        )

    def measure(
        self, name: str, variables: dict[str, str], cpus: float | None
    ) -> tuple[dict[str, float], list[float]]:
        """Run the measuring program in the handler's image."""
        environment = {
            **variables,
            "AWS_LAMBDA_RUNTIME_API": "benchmark",
            "PYTHONPATH": "/var/task",
        }
        container = self._run(
            name,
            ["-c", handlers.PROGRAM, MODULES[name], "/given/records.json"],
            entrypoint="python3",
            environment=environment,
            **limits(cpus, 1024),
        )
        try:
            code = container.wait()["StatusCode"]
            output = container.logs(stdout=True, stderr=False).decode()
            if code:
                sys.exit(f"{name} failed: {container.logs().decode()}")
        finally:
            container.remove(force=True)
        figures, answer = json.loads(output.splitlines()[-1])
        return figures, answer

    @contextmanager
    def serving(
        self, name: str, variables: dict[str, str], cpus: float | None, memory_mb: int = 1024
    ) -> Iterator[Callable[[Any], Any]]:
        """Run a handler under Lambda's emulator; yield a function that calls it over HTTP.

        The emulator starts the handler at the first call.
        """
        container = self._run(
            name,
            None,
            environment=variables,
            ports={"8080/tcp": ("127.0.0.1", None)},
            **limits(cpus, memory_mb),
        )
        try:
            container.reload()
            port = container.ports["8080/tcp"][0]["HostPort"]
            url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"

            def call(event: Any) -> Any:
                with urllib.request.urlopen(
                    url, json.dumps(event).encode(), timeout=120
                ) as response:
                    return json.load(response)

            wait_for(f"http://127.0.0.1:{port}/")
            yield call
        finally:
            container.remove(force=True)

    def show_sizes(self) -> None:
        """Print the compressed size of the images, without their base."""
        usual = self.engine.images.get(self.names["usual"])
        with saved(usual, self.folder) as archive, tarfile.open(archive) as image:
            manifest: list[dict[str, Any]] = json.load(
                image.extractfile("manifest.json") or io.BytesIO(b"[]")
            )
            layers = [
                (image.extractfile(name) or io.BytesIO()).read()
                for name in manifest[0]["Layers"][-3:]
            ]
        usual_size = sum(len(gzip.compress(layer, 6)) for layer in layers)
        print(
            f"above the base, compressed: usual {usual_size / 1e6:.1f} MB, ours "
            f"{self.sizes['ours'] / 1e6:.1f} MB"
        )


def limits(cpus: float | None, memory_mb: int) -> dict[str, Any]:
    return {"nano_cpus": int((cpus or 1) * 1e9), "mem_limit": f"{memory_mb}m"}


@contextmanager
def saved(image: Any, folder: Path) -> Iterator[Path]:
    """Save an image to a file within this context."""
    path = folder / "saved.tar"
    with path.open("wb") as file:
        for part in image.save():
            file.write(part)
    yield path
    path.unlink()


def wait_for(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit(f"nothing answers at {url}")
