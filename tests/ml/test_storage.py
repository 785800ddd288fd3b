"""The signature of the GET equals botocore's, and an init imports no more than it must."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.support.handlers import Storage, described, environment, serving
from tests.support.projects import ROOT

NOW = "20261124T080000Z"


@pytest.fixture(scope="module")
def storage() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "lambda_src")
        return importlib.import_module("storage")


@given(
    st.from_regex(r"models/[a-z_]{1,20}/[0-9a-f]{64}\.joblib", fullmatch=True)
    | st.text("ab /+~é=&%", min_size=1),
    st.sampled_from(["", "a/session+token=="]),
    st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
)
def test_a_request_is_signed_as_botocore_signs_it(
    storage: ModuleType, key: str, token: str, region: str
) -> None:
    sent: dict[str, object] = {}

    class Connection:
        def request(self, method: str, path: str, headers: dict[str, str]) -> None:
            sent.update(path=path, headers=headers)

        def getresponse(self) -> SimpleNamespace:
            return SimpleNamespace(status=200, read=lambda: b"")

        def close(self) -> None:
            """Nothing is open."""

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKID",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": region,
        }.items():
            patch.setenv(name, value)
        patch.setenv("AWS_SESSION_TOKEN", token)
        patch.setattr(storage, "connect", lambda secure, host: Connection())
        patch.setattr(
            storage, "time", SimpleNamespace(strftime=lambda *arguments: NOW, gmtime=lambda: None)
        )
        storage.Client("a-bucket").get(key)
        host = f"a-bucket.s3.{region}.amazonaws.com{'.cn' if region == 'cn-north-1' else ''}"
        request = AWSRequest(
            "GET", f"https://{host}{sent['path']}", headers={"x-amz-content-sha256": storage.EMPTY}
        )
        request.context.update(timestamp=NOW, client_config=None)
        signer = S3SigV4Auth(Credentials("AKID", "secret", token or None), "s3", region)
        request.headers["X-Amz-Date"] = NOW
        if token:
            request.headers["X-Amz-Security-Token"] = token
        canonical = signer.canonical_request(request)
        text = signer.string_to_sign(request, canonical)
        assert str(sent["headers"]["authorization"]).endswith(signer.signature(text, request))  # type: ignore[index]


PROGRAM = """
import sys
before = set(sys.modules)
import predict
print(len(set(sys.modules) - before), *sorted(sys.modules))
"""
# of lambda_src/, and of fast/ the modules of one family alone
OURS = {"contract", "fast", "loading", "predict", "signature", "storage"} | {
    f"fast.{name}"
    for name in ("building", "data", "estimators", "registry", "stages", "unpickling")
}
FAMILIES = {
    "linear_regression": {"fast.linear"},
    "random_forest": {"fast.leaves", "fast.trees"},
    "support_vector": {"fast.composition", "fast.scaling", "fast.vectors"},
}
SLOW = {"boto3", "botocore", "joblib", "pandas", "pathlib", "requests", "scipy", "sklearn"}


@pytest.mark.parametrize("name", FAMILIES)
def test_an_init_imports_numpy_and_nothing_that_is_slow(trained: Path, name: str) -> None:
    """Every module more that is imported at init slows cold starts."""
    content = (trained / f"{name}.joblib").read_bytes()
    signature = described()
    with serving(Storage(signature, content)) as served:
        variables = {
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
            "AWS_ENDPOINT_URL": served.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            **environment(name, content, signature),
        }
        # -S: an editable installation of the deployer would import modules of its own.
        variables["PYTHONPATH"] = str(Path(np.__file__).parents[1])
        command = [sys.executable, "-S", "-c", PROGRAM]
        done = subprocess.run(
            command, env=variables, cwd=ROOT / "lambda_src", capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    way, imported = done.stdout.splitlines()
    assert way == f"{name} is evaluated with numpy"
    count, *names = imported.split()
    assert "numpy" in names
    assert not SLOW & set(names)
    known = {path.relative_to(ROOT / "lambda_src") for path in (ROOT / "lambda_src").rglob("*.py")}
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in known}
    assert modules & set(names) == OURS | FAMILIES[name]
    assert int(count) < 260, "numpy 2.2 and the standard library make 230"
