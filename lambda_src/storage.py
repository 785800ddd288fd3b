"""Download the model's files from S3 by signed GETs over one connection of the standard library.

Importing boto3 and making its S3 client would take longer than a whole init takes without them
(benchmarks/inference.py). Lambda sets the variables that this module reads: AWS_REGION and the
credentials; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL count if set.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import threading
import time
import urllib.parse
from contextlib import closing

TIMEOUT_S = 5
EMPTY = hashlib.sha256(b"").hexdigest()


class NotFetched(Exception):
    """S3 did not return the object; the message names the object and the reason."""


def fetch(client: Client, key: str, attempts: int = 4) -> bytes:
    """Return the bytes of an S3 object.

    A new object can be invisible for a moment (404 NoSuchKey), and without s3:ListBucket a missing
    one is 403 AccessDenied. Both are retried, as are failures of S3 and of the network.

    Raises:
        NotFetched: after the last attempt, or at once for an error that a retry cannot cure.
    """
    name = f"s3://{client.bucket}/{key}"
    for attempt in range(1, attempts + 1):
        try:
            status, content = client.get(key)
            if status == 200:
                return content
            if status in (403, 404):
                problem = f"{name} is missing or forbidden"
            else:
                problem = (
                    f"cannot read {name}: HTTP {status}: {content[:200].decode(errors='replace')}"
                )
                if status < 500 and status != 429:
                    break
        except (OSError, http.client.HTTPException) as error:
            client.close()
            problem = f"cannot read {name}: {type(error).__name__}: {error}"
        if attempt < attempts:
            time.sleep(0.1 * 2**attempt)
    raise NotFetched(problem)


class Fetching(threading.Thread):
    """Fetches objects of a bucket in the background, one after the other; starts at once."""

    def __init__(self, bucket: str, *keys: str) -> None:
        super().__init__(daemon=True)
        self.bucket = bucket
        self.keys = keys
        self.contents: list[bytes] = []
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with closing(Client(self.bucket)) as client:
                self.contents = [fetch(client, key) for key in self.keys]
        except Exception as error:  # raised in the waiting thread, by result()
            self.error = error

    def result(self) -> list[bytes]:
        """Wait for the objects and return their bytes, or raise the error of `fetch`."""
        self.join()
        if self.error is not None:
            raise self.error
        return self.contents


class Client:
    """Reads objects of one bucket over a connection that stays open."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.region = os.environ["AWS_REGION"]
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            scheme, _, self.host = endpoint.rstrip("/").partition("://")
            self.root = f"/{bucket}"
        else:
            scheme, self.root = "https", ""
            suffix = ".cn" if self.region.startswith("cn-") else ""
            self.host = f"{bucket}.s3.{self.region}.amazonaws.com{suffix}"
        self.connection = connect(scheme == "https", self.host)

    def get(self, key: str) -> tuple[int, bytes]:
        """Make one request; return its status and body."""
        path = self.root + urllib.parse.quote(f"/{key}", safe="/-_.~")
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        # The connection is opened anew if the server has closed it after the last answer.
        self.connection.request("GET", path, headers=signed(self.host, path, self.region, now))
        response = self.connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self.connection.close()


def connect(secure: bool, host: str) -> http.client.HTTPConnection:
    if not secure:
        return http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    import ssl  # only here: a local endpoint needs none

    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    return http.client.HTTPSConnection(host, timeout=TIMEOUT_S, context=context)


def signed(host: str, path: str, region: str, now: str) -> dict[str, str]:
    """Return the headers of a GET without query, signed by AWS Signature Version 4."""
    headers = {"host": host, "x-amz-content-sha256": EMPTY, "x-amz-date": now}
    if os.environ.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = os.environ["AWS_SESSION_TOKEN"]
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"GET\n{path}\n\n{lines}\n{names}\n{EMPTY}"
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.new(secret, text.encode(), "sha256").hexdigest()
    credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
    value = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return {**headers, "authorization": value}
