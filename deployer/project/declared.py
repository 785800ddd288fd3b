"""The table of settings: a line declares name, type, default, parser and meaning of one.

`sections` says which place wins where several set it; `settings` makes values of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from deployer.project import parsers
from deployer.project.parsers import (
    BUILDERS,
    boolean,
    integer,
    one_of,
    pattern,
    whole_or_nothing,
)

T = TypeVar("T")
_KEY = "setting"  # in the metadata of a field
LOG_LEVELS = ("debug", "info", "warning", "error")
# The kinds of API that each value of `auth` works with.
AUTHS = {
    "none": ("http", "rest"),
    "iam": ("http", "rest"),
    "jwt": ("http",),
    "key": ("rest",),
}


def logs_answers(level: str) -> bool:
    """Tell whether a function logs a line about a request that it answered."""
    return LOG_LEVELS.index(level) <= LOG_LEVELS.index("info")


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    Args:
        per_function: sections of functions may hold it.
        merged: it is a map, and a stronger place adds to it key by key.
        attribute: its name in `Settings`.
    """

    parse: Callable[[str], Any]
    meaning: str
    default: Any
    per_function: bool
    merged: bool
    attribute: str


def setting(default: T, parse: Callable[[str], T], meaning: str, *, name: str = "") -> T:
    """Declare a setting: a field of one of the classes below.

    Args:
        name: in setup.cfg, where it differs from the field's.
    """
    metadata = {_KEY: (parse, meaning, name)}
    if isinstance(default, dict):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


_TWO_WEEKS: int | None = 14


# Limits: Lambda-28 (memory, timeout), botocore's lambda model (EphemeralStorage), Pc-6, Lambda-12
# (concurrency), Api-31 (rates), PRE-3 (names). Service and a stage leave room for account and
# region in the bucket's 63 characters.


@dataclass(frozen=True)
class FunctionSettings:
    """Settings that may differ between functions."""

    memory_mb: int = setting(
        1024, integer(128, 10240), "memory of a function, which also sets its share of CPU"
    )
    timeout_s: int = setting(
        20,
        integer(1, 900),
        "timeout of a function; must be below the TimeoutSeconds of its task in the workflow",
    )
    ephemeral_storage_mb: int = setting(512, integer(512, 10240), "size of a function's /tmp")
    provisioned_concurrency: int | None = setting(
        None,
        whole_or_nothing(1),
        "execution environments of a function that are kept ready, against cold starts; they cost "
        "money while idle, and `plan` says how much; empty: none",
    )
    reserved_concurrency: int | None = setting(  # 0 stops the function (Lambda-12)
        None,
        whole_or_nothing(0),
        "concurrency reserved for a function, which is also its maximum; 0 stops the function; "
        "empty: it shares the account's unreserved concurrency",
    )
    environment: Mapping[str, str] = setting(
        {},
        parsers.variables,
        "environment variables of a function, one line KEY=value for each; no secrets",
    )
    log_level: str = setting(
        "info",
        one_of(*LOG_LEVELS),
        "lines that a function logs: debug, info, warning (refused requests and failures) or error",
    )


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of a whole service. Those of functions stand among them, as `defaults`."""

    project: Path
    service: str = setting(
        "inference",
        pattern(
            r"(?=.{2,24}$)[a-z](?:-?[a-z0-9])*",
            "2 to 24 lower-case letters, digits and single dashes, beginning with a letter",
        ),
        "first part of every resource name",
    )
    stage: str = setting(
        "dev",
        parsers.stage,
        "second part of every resource name; stages exist side by side",
    )
    account: str = setting(
        "",
        pattern("([0-9]{12})?", "an account id of 12 digits, or nothing"),
        "the only AWS account that the tool may use; empty: the account of the credentials",
    )
    region: str | None = setting(
        None,
        pattern(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "an AWS region such as eu-central-1"),
        "AWS region of all resources",
    )
    defaults: FunctionSettings = FunctionSettings()
    architecture: str = setting(
        "x86_64",
        one_of("x86_64", "arm64"),
        "processor architecture of the functions and their image",
    )
    builder: str = setting(
        "auto",
        one_of(*BUILDERS),
        "docker builds the image with a Docker engine, direct without one; auto uses a running one",
    )
    base_image: str | None = setting(
        None,
        parsers.image,
        "value of the argument BASE in the Dockerfile; empty: AWS's image for the Python version "
        "that trained the models",
    )
    train: str = setting(
        "python train.py",
        parsers.command,
        "command that trains the models, run in the project's folder if models/ is absent or "
        "empty; && joins several commands; no shell runs them",
    )
    log_retention_days: int | None = setting(
        _TWO_WEEKS, parsers.retention, "days until logs are deleted; never: logs are kept forever"
    )
    log_inputs: bool = setting(False, boolean, "whether the functions log the values of requests")
    workflow_log: str = setting(
        "errors",
        one_of("errors", "all"),
        "execution events that are logged: errors, or all, which shows the times of each state",
    )
    tracing: bool = setting(False, boolean, "X-Ray traces of workflow and functions")
    own_tags: Mapping[str, str] = setting(
        {},
        parsers.tags,
        "your own tags on every resource, such as team=ml, cost-center=42",
        name="tags",
    )
    bucket_namespace: str = setting(
        "global",
        one_of("global", "account-regional"),
        "namespace of the bucket's name; account-regional: no other account can ever own the name",
    )
    api: str = setting(
        "http",
        one_of("http", "rest"),
        "kind of the API: http answers with the execution record, rest with plain JSON and status "
        "codes, at 3.5 times the price per call",
    )
    auth: str = setting(
        "none",
        one_of(*AUTHS),
        "who may call the API: none: everyone who knows the URL; iam: callers that sign with AWS "
        "credentials; jwt: holders of a token (api = http); key: holders of an API key, which "
        "meters and does not authenticate (api = rest)",
    )
    jwt_issuer: str | None = setting(
        None,
        parsers.issuer,
        "with auth = jwt, the URL of the issuer, exactly as in the claim `iss` of the tokens",
    )
    jwt_audience: tuple[str, ...] = setting(
        (),
        parsers.words(50, 1024),
        "with auth = jwt, accepted values; a token must have one of them as `aud`, or as "
        "`client_id` if it has no `aud`",
    )
    jwt_scopes: tuple[str, ...] = setting(
        (),
        parsers.scopes,
        "with auth = jwt, accepted scopes; a token must have one; empty: no scope is required",
    )
    key_rate_limit: int = setting(
        50,
        integer(1, 10000),
        "with auth = key, requests per second that the API accepts from one key",
    )
    key_burst_limit: int = setting(
        100,
        integer(1, 5000),
        "with auth = key, requests in a burst that the API accepts from one key",
    )
    key_quota: str | None = setting(
        None,
        parsers.quota,
        "with auth = key, requests that the API accepts from one key in a period, such as 1000 per "
        "day (or week, or month); empty: no limit",
    )
    cors_origins: tuple[str, ...] = setting(
        ("*",), parsers.origins, "origins whose pages may call the API; empty: CORS is off"
    )
    cors_headers: tuple[str, ...] = setting(
        ("content-type",), parsers.header_names, "headers that these pages may send"
    )
    cors_exposed_headers: tuple[str, ...] = setting(
        (), parsers.header_names, "additional response headers that these pages may read"
    )
    rate_limit: int = setting(100, integer(1, 10000), "requests per second that the API accepts")
    burst_limit: int = setting(200, integer(1, 5000), "requests in a burst that the API accepts")
    keep_releases: int = setting(
        10, integer(2, 500), "number of releases that are kept in the account for `rollback`"
    )
    alarm_email: str | None = setting(
        None,
        parsers.email,
        "email address that alarms go to (docs/operating.md); alarms cost money (plan --cost); "
        "empty: none",
    )
    alarm_topic: str | None = setting(
        None, parsers.topic, "ARN of your own SNS topic that alarms go to; empty: none"
    )
    alarm_failures: int = setting(
        1, integer(1, 1_000_000), "number of failures within five minutes from which an alarm rings"
    )
    publish_example: bool = setting(
        False,
        boolean,
        "whether openapi and page show the manifest's examples; no: they show made-up ones, since "
        "a training record may contain personal data",
    )
    permissions_boundary: str | None = setting(
        None,
        parsers.optional_arn,
        "ARN of the permissions boundary of the service's roles, if your company requires one",
    )


def _declared(cls: Any, *, per_function: bool) -> Iterator[tuple[str, Setting]]:
    for item in fields(cls):
        if item.name == "defaults":
            yield from _declared(FunctionSettings, per_function=True)
        elif _KEY in item.metadata:
            parse, meaning, name = item.metadata[_KEY]
            default = _default(item)
            merged = isinstance(default, dict)
            yield (
                name or item.name,
                Setting(parse, meaning, default, per_function, merged, item.name),
            )


def _default(item: Field[Any]) -> Any:
    return item.default_factory() if item.default_factory is not MISSING else item.default


SETTINGS: dict[str, Setting] = dict(_declared(ServiceSettings, per_function=False))


def settings_table() -> Iterator[tuple[str, str, str]]:
    """Yield (name, default, meaning) of every setting, for the documentation."""
    for name, declaration in SETTINGS.items():
        yield name, value_text(declaration.default), declaration.meaning


def value_text(value: Any) -> str:
    """Return a value as setup.cfg would have it, in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, tuple):
        return " ".join(value)
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return str(value)
