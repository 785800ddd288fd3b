"""What a signed request asks for: IAM's action and resource, and the refusal in the right shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from deployer.local.answers import Answer, Environ, read_body, refused, speaks_xml
from deployer.local.guard import credential_scope
from deployer.local.process import ACCOUNT

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations$")
# IAM's prefix, where it is not the service's name in signatures.
_PREFIXES = {"monitoring": "cloudwatch"}
_OBJECT = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
_BUCKET = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket"}


@dataclass(frozen=True)
class Asked:
    """An action and its resource; None where this server does not know the resource.

    `bucket`: the one whose policy matters too.
    """

    action: str
    resource: str | None
    bucket: str = ""


def asked(environ: Environ) -> Asked:
    """Return what a request asks for.

    Of S3's and Lambda's data planes both are known, of all else the action alone; of a REST service
    not even that, so its action is `service:*`, which a policy of exactly this grants.
    """
    region, service = credential_scope(environ)
    if service == "s3":
        return _of_s3(environ)
    prefix = _PREFIXES.get(service, service)
    invoke = _INVOKE.search(environ["PATH_INFO"])
    if service == "lambda" and invoke:
        name = unquote(invoke[1])
        qualifier = parse_qs(environ.get("QUERY_STRING", "")).get("Qualifier", [])
        arn = (
            name
            if name.startswith("arn:")
            else f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"
        )
        return Asked("lambda:InvokeFunction", ":".join([arn, *qualifier]))
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if not target and "urlencoded" in environ.get("CONTENT_TYPE", ""):
        form = parse_qs(read_body(environ).decode("utf-8", errors="replace"))
        target = form.get("Action", [""])[0]
    return Asked(f"{prefix}:{target or '*'}", None)


def _of_s3(environ: Environ) -> Asked:
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), True)
    _, bucket, key = (*environ["PATH_INFO"].split("/", 2), "")[:3]
    arn = f"arn:aws:s3:::{bucket}"
    if key:
        action = _OBJECT.get(method, "PutObject")  # POST is a part of an upload
        versioned = "Version" if "versionId" in query and action != "PutObject" else ""
        return Asked(f"s3:{action}{versioned}", f"{arn}/{key}", bucket)
    if not bucket:
        return Asked("s3:ListAllMyBuckets", "*")
    if method == "POST" and "delete" in query:
        return Asked("s3:DeleteObject", None, bucket)  # many, by names in the body
    if "versions" in query:
        return Asked("s3:ListBucketVersions", arn, bucket)
    return Asked(f"s3:{_BUCKET.get(method, 'DeleteBucket')}", arn, bucket)


def refusal(environ: Environ, text: str) -> Answer:
    """Return AWS's answer to a request that IAM refuses."""
    _, service = credential_scope(environ)
    code = "AccessDenied" if speaks_xml(service) else "AccessDeniedException"
    return refused(service, code, text)
