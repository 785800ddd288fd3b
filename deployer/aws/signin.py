"""The session with AWS: what is patched of botocore, and the one net for all that fails in signing
in.

botocore finds credentials in many ways, each of which runs programs, reads files or asks servers of
its own, and fails in its own words. Whatever it raises while credentials are looked for or renewed
becomes NoCredentials here.
"""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from deployer.errors import LOCAL_ADVICE, NoCredentials

SERVICES = (
    "apigatewayv2",
    "s3",
    "iam",
    "lambda",
    "ecr",
    "logs",
    "stepfunctions",
)  # of every command
KNOWN = ("sts", *SERVICES, "resourcegroupstaggingapi")
_READING = ("Get", "List", "Describe", "Head", "Batch")
# botocore's classes, by name: older versions have not all of them.
_EXPIRED = {
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "PendingAuthorizationExpiredError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_ABSENT = {"NoCredentialsError", "PartialCredentialsError"}
_OPENINGS = {
    "json": b"{",
    "rest-json": b"{",
    "query": b"<",
    "rest-xml": b"<",
    "ec2": b"<",
}  # of a body, by protocol
_PAGE = re.compile(rb"(?i)<html[\s>]")


class NoTerminal(Exception):
    """A code is asked for, and there is nobody to type it."""


class ForeignAnswer(Exception):
    """What answered is not AWS: a page, a redirect, half an answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Services(list[str]):
    """The services that the deployer calls; any other is looked for when it is asked for.

    To know that a service exists, botocore looks into the folders of all four hundred, for each
    kind of file anew, and the threads that want a paginator first all do so at once. It was a fifth
    of a plan (benchmarks/deploy.py). botocore's own providers of credentials call others: sso,
    sso-oidc, signin, and more in a later version.
    """

    def __init__(self, look: Callable[[], list[str]]) -> None:
        super().__init__(KNOWN)
        self._look = look

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._look()

    def __iter__(self) -> Iterator[str]:
        return iter(self._look())


def open_session(
    region: str | None, profile: str | None, credentials: tuple[str, str] | None
) -> Any:
    """Return a boto3 session; raise NoCredentials when the AWS configuration is unsound."""
    import boto3
    import botocore.session

    access_key, secret = credentials or (None, None)
    try:
        core = botocore.session.Session()
        session = boto3.Session(
            botocore_session=core,
            region_name=region,
            profile_name=profile,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
        )
        loader = core.get_component("data_loader")
        look = loader.list_available_services
        loader.list_available_services = lambda type_name: _Services(lambda: look(type_name))
        _ask_on_a_terminal_only(core)
        core.get_component("event_emitter").register("before-parse", _refuse_foreign_answers)
    except Exception as error:
        raise explained(error, profile) from error
    return session


def sign_in(session: Any) -> None:
    """Find the credentials, or renew them if that is due; raise NoCredentials when there are none
    to be had.
    """
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            _check_characters(credentials.get_frozen_credentials())
    except Exception as error:
        raise explained(error, session.profile_name) from error
    if credentials is None:
        raise _absent("unable to locate credentials")


def _check_characters(credentials: Any) -> None:
    """Refuse what cannot stand in a header, without showing it: a line that was copied along,
    mostly.
    """
    for name in ("access_key", "secret_key", "token"):
        value = getattr(credentials, name) or ""
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ValueError(
                f"the {name.replace('_', ' ')} holds a line break, a blank or another character "
                f"that none has"
            )


def is_about_signing(error: Exception) -> bool:
    """Tell whether an error that came up in a call says that there was nothing to sign it with."""
    return type(error).__name__ in _EXPIRED | _ABSENT


def _absent(text: str) -> NoCredentials:
    return NoCredentials(
        "NoCredentials", text, advice=f"sign in, or set AWS_PROFILE or --profile; {LOCAL_ADVICE}"
    )


def explained(error: Exception, profile: str | None = None) -> NoCredentials:
    """Return what kept a caller from signing in, in one line; `profile`: the one in use."""
    name = type(error).__name__
    whose = f"profile {profile}: " if profile and profile != "default" else ""
    if name in _ABSENT:
        return _absent(f"{whose}{str(error)[:1].lower()}{str(error)[1:]}")
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:  # of STS or of the sign-in service
        details = response["Error"]
        return NoCredentials(str(details.get("Code")), f"{whose}{details.get('Message')}")
    if name in _EXPIRED:
        option = f" --profile {profile}" if whose else ""
        return NoCredentials(
            "ExpiredToken", f"{whose}{error}", advice=f"sign in: aws sso login{option}"
        )
    if isinstance(error, NoTerminal):
        advice = "run it in a terminal, or sign in elsewhere and use the temporary credentials"
        return NoCredentials("NoTerminal", f"{whose}{error}", advice=advice)
    if isinstance(error, json.JSONDecodeError):
        return NoCredentials(
            "NoJson", f"{whose}its credential_process, or a file of tokens, holds no JSON: {error}"
        )
    if isinstance(error, OSError):
        what = f": {error.filename}" if error.filename else ""
        return NoCredentials(
            name, f"{whose}it names what cannot be run or read: {error.strerror or error}{what}"
        )
    if isinstance(
        error, RuntimeError
    ):  # of RefreshableCredentials, which has no class of its own for it
        return NoCredentials("ExpiredToken", f"{whose}{error}")
    text = str(error).rstrip(": ")
    if isinstance(error, (KeyError, TypeError, AttributeError)):
        text = (
            f"what its configuration, its credential_process or a file says has not the right "
            f"shape: {text}"
        )
    if name == "CredentialRetrievalError" and str(error).endswith(": "):
        text += ": the program failed and said nothing"
    advice = (
        f"look at the profile in the AWS configuration (AWS_CONFIG_FILE, ~/.aws/config); "
        f"{LOCAL_ADVICE}"
    )
    return NoCredentials(name, f"{whose}{text}", advice=advice)


def _ask_on_a_terminal_only(core: Any) -> None:
    """Let botocore ask for the code of an MFA device only where somebody can type it."""

    def ask(prompt: str) -> str:
        if not sys.stdin.isatty():
            raise NoTerminal(
                "a code of an MFA device is asked for, and there is no terminal to type it on"
            )
        return getpass.getpass(prompt)

    provider = core.get_component("credential_provider").get_provider("assume-role")
    provider._prompter = ask


def _refuse_foreign_answers(operation_model: Any, response_dict: Any, **others: Any) -> None:
    """Raise ForeignAnswer for what botocore would take for an empty answer of AWS."""
    status, headers, body = (
        response_dict["status_code"],
        response_dict["headers"],
        response_dict["body"],
    )
    if not isinstance(body, bytes):  # a stream, which is read later
        return
    length = headers.get("content-length", "")
    whole = (
        "content-encoding" in headers
        or operation_model.http.get("method") == "HEAD"
        or not length.isdecimal()
    )
    if not whole and len(body) != int(length):
        raise ForeignAnswer(f"HTTP {status} with {len(body)} bytes of {length}", status)
    if body.lstrip().startswith(b"<") and _PAGE.search(body[:2000]):
        raise ForeignAnswer(f"HTTP {status} with an HTML page", status)
    if (
        300 <= status < 400
        and status != 304
        and "location" in headers
        and "x-amz-bucket-region" not in headers
    ):
        raise ForeignAnswer(f"HTTP {status}, which sends us to {headers['location']}", status)
    service = operation_model.service_model
    protocol = getattr(
        service, "resolved_protocol", service.protocol
    )  # newer ones speak CBOR to some services
    opening = _OPENINGS.get(protocol)
    raw = protocol == "rest-xml" and status < 300  # S3 answers some calls with what was once sent
    if (
        opening
        and body.strip()
        and not body.lstrip().startswith(opening)
        and status != 429
        and not raw
    ):
        raise ForeignAnswer(f"HTTP {status} with something else than an answer of AWS", status)
    if status < 300 and opening == b"{":
        _refuse_half_answers(operation_model, status, body)


def _refuse_half_answers(operation_model: Any, status: int, body: bytes) -> None:
    expected = operation_model.output_shape is not None and operation_model.output_shape.members
    if not body:
        if expected and operation_model.name.startswith(_READING):
            raise ForeignAnswer(f"HTTP {status} with nothing", status)
        return
    if expected and not operation_model.has_streaming_output and not body.rstrip().endswith(b"}"):
        raise ForeignAnswer(f"HTTP {status} with half an answer, or with none of AWS's", status)
