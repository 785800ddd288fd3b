"""A stand-in for AWS's base image on machines that cannot pull it: Debian with AWS's own runtime
client and emulator.

It has the parts of AWS's image on which other images build: /var/task, LAMBDA_TASK_ROOT,
LD_LIBRARY_PATH, an entry point that takes the handler as CMD, and pip on the PATH. Like AWS's, it
has no libgomp.so.1.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import docker

HERE = Path(__file__).parent
SUITE, PYTHON = "bookworm", "3.11"
EMULATOR = "samcli/local/rapid/aws-lambda-rie-x86_64"
DOCKERFILE = """
FROM {system}
ENV LANG=en_US.UTF-8 TZ=:/etc/localtime PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin
ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime
ENV LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:\\
/var/task:/var/task/lib:/opt/lib
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY wheels /tmp/wheels
RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python \\
    && mkdir -p /var/task /var/runtime \\
    && pip install --quiet --root-user-action=ignore --no-index --find-links /tmp/wheels \\
        awslambdaric boto3 \\
    && rm -r /tmp/wheels
COPY --chmod=755 aws-lambda-rie /usr/local/bin/
COPY --chmod=755 entrypoint.sh /lambda-entrypoint.sh
WORKDIR /var/task
ENTRYPOINT ["/lambda-entrypoint.sh"]
"""


def build(engine: docker.DockerClient) -> str:
    """Build the stand-in unless the engine has it, and return its name."""
    inputs = DOCKERFILE + SUITE + (HERE / "entrypoint.sh").read_text()
    name = f"lambda-python-standin:{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    if engine.images.list(name):
        return name
    with tempfile.TemporaryDirectory(prefix="standin-") as folder:
        work = Path(folder)
        _fetch(work)
        (work / "Dockerfile").write_text(
            DOCKERFILE.format(system=_system(engine)).replace("COPY --chmod=755", "COPY")
        )
        for script in ("aws-lambda-rie", "entrypoint.sh"):
            (work / script).chmod(0o755)
        engine.images.build(path=folder, tag=name, rm=True)
    return name


def _system(engine: docker.DockerClient) -> str:
    """A minimal Debian with Python, made by debootstrap and imported."""
    name = f"standin-{SUITE}:1"
    if engine.images.list(name):
        return name
    with tempfile.TemporaryDirectory(prefix="debootstrap-") as folder:
        root, archive = Path(folder, "root"), Path(folder, "root.tar")
        packages = "--include=python3-minimal,python3-pip,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, SUITE, str(root)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for useless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / useless, ignore_errors=True)
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        repository, _, tag = name.partition(":")
        engine.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    return name


def _fetch(work: Path) -> None:
    """Bring the emulator, wheels of the runtime client, and this machine's certificates."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ]
    target = [
        "--python-version",
        PYTHON,
        "--platform",
        "manylinux2014_x86_64",
        "--platform",
        "manylinux_2_28_x86_64",
    ]
    subprocess.run(
        [*pip, *target, "--dest", str(work / "wheels"), "awslambdaric", "boto3"], check=True
    )
    subprocess.run([*pip, "--no-deps", "--dest", str(work), "aws-sam-cli"], check=True)
    (wheel,) = work.glob("aws_sam_cli-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (work / "aws-lambda-rie").write_bytes(archive.read(EMULATOR))
    wheel.unlink()
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", work / "ca-certificates.crt")
    shutil.copy(HERE / "entrypoint.sh", work / "entrypoint.sh")
