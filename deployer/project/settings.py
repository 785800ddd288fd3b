"""All settings, the places where they are set, and all names that follow from them.

A setting comes from, in rising order: its default, `[deployer]` of setup.cfg (and `[deployer:NAME]`
for the function NAME), the environment (DEPLOYER_MEMORY_MB), an option. All mistakes are reported
at once, each with its place. Knows no AWS.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.project import folder
from deployer.project.parsers import (
    boolean,
    command,
    email,
    header_names,
    image,
    integer,
    issuer,
    optional_arn,
    origins,
    pattern,
    quota,
    retention,
    scopes,
    topic,
    whole_or_nothing,
    words,
)
from deployer.project.sections import read_sections

SECTION = "deployer"
VARIABLE = "DEPLOYER_"
BUILDERS = ("auto", "docker", "direct")
_SHOWN = 80  # characters of a value that is wrong
# Values that commands read from the environment and that no file may hold.
SECRETS = ("api_key", "token")
# The kinds of API that each value of `auth` works with.
AUTHS = {
    "none": ("http", "rest"),
    "iam": ("http", "rest"),
    "jwt": ("http",),
    "key": ("rest",),
}
MANAGED_BY = "python -m deployer"


@dataclass(frozen=True)
class FunctionSettings:
    """Settings that may differ between functions."""

    memory_mb: int = 1024
    timeout_s: int = 20
    ephemeral_storage_mb: int = 512
    provisioned_concurrency: int | None = None
    reserved_concurrency: int | None = None  # 0 stops the function (Lambda-12)


@dataclass(frozen=True)
class Settings:
    """One service in one stage.

    `account`, `partition`, `region` and `dns_suffix` are known once STS has named the caller. An
    `account` that was set before is the only one that the tool may work in. `bare` images have
    neither base nor packages: their functions run in this Python, as --local needs it.
    """

    project: Path
    service: str = "inference"
    stage: str = "dev"
    region: str | None = None
    architecture: str = "x86_64"
    log_retention_days: int | None = 14
    log_inputs: bool = False
    workflow_log: str = "errors"
    tracing: bool = False
    api: str = "http"
    auth: str = "none"
    jwt_issuer: str | None = None
    jwt_audience: tuple[str, ...] = ()
    jwt_scopes: tuple[str, ...] = ()
    key_rate_limit: int = 50
    key_burst_limit: int = 100
    key_quota: str | None = None
    cors_origins: tuple[str, ...] = ("*",)
    cors_headers: tuple[str, ...] = ("content-type",)
    cors_exposed_headers: tuple[str, ...] = ()
    rate_limit: int = 100
    burst_limit: int = 200
    permissions_boundary: str | None = None
    keep_releases: int = 10
    alarm_email: str | None = None
    alarm_topic: str | None = None
    alarm_failures: int = 1
    publish_example: bool = False
    defaults: FunctionSettings = FunctionSettings()
    per_function: Mapping[str, FunctionSettings] = field(default_factory=dict)
    base_image: str | None = None
    bare: bool = False
    builder: str = "auto"
    train: str = "python train.py"
    adopt: bool = False
    proof: bool = True
    account: str = ""
    partition: str = "aws"
    dns_suffix: str = "amazonaws.com"
    caller: str = ""

    @property
    def alarms(self) -> bool:
        """Whether there are alarms."""
        return bool(self.alarm_email or self.alarm_topic)

    def function(self, name: str) -> FunctionSettings:
        return self.per_function.get(name, self.defaults)

    def located(
        self,
        *,
        account: str,
        partition: str,
        region: str,
        dns_suffix: str = "amazonaws.com",
        caller: str = "",
    ) -> Settings:
        """Return these settings for one account and region.

        Args:
            dns_suffix: of the partition's host names.
            caller: the ARN of the credentials.

        Raises:
            ConfigError: the settings name another account (PRE-1), or a name is too long there.
        """
        if self.account not in ("", account):
            raise ConfigError(
                [
                    f"these credentials are of account {account}, but the settings name account "
                    f"{self.account}"
                ],
                "choose other credentials (AWS_PROFILE, --profile), or another account in "
                "setup.cfg (DEPLOYER_ACCOUNT)",
            )
        settings = replace(
            self,
            account=account,
            partition=partition,
            region=region,
            dns_suffix=dns_suffix,
            caller=caller,
        )
        if len(settings.bucket) > 63:  # S3's limit; the strictest of all names
            raise ConfigError(
                [f"the bucket's name {settings.bucket} has more than 63 characters"],
                "shorten service or stage",
            )
        return settings

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark a resource as this service's."""
        return {
            "deployer:service": self.service,
            "deployer:stage": self.stage,
            "deployer:managed-by": MANAGED_BY,
        }

    @property
    def prefix(self) -> str:
        return f"{self.service}-{self.stage}"

    @property
    def bucket(self) -> str:
        return f"{self.prefix}-{self.account}-{self.region}"

    @property
    def repository(self) -> str:
        return self.prefix

    @property
    def repository_uri(self) -> str:
        registry = f"{self.account}.dkr.ecr.{self.region}.{self.dns_suffix}"
        return f"{registry}/{self.repository}"

    def function_name(self, name: str) -> str:
        return f"{self.prefix}-{name.replace('_', '-')}"

    def role_name(self, user: str) -> str:
        """The name of a role. It holds the region, since IAM's names are global (Iam-12)."""
        return f"{self.prefix}-{self.region}-{user}"

    def log_group(self, user: str) -> str:
        """The name of a log group.

        Vended logs lie under /aws/vendedlogs/: they then need no room in an account-wide policy of
        limited size (Logs-6).
        """
        vended = {"workflow": "/aws/vendedlogs/states/", "api": "/aws/vendedlogs/apigateway/"}
        return (
            vended[user] + self.prefix
            if user in vended
            else f"/aws/lambda/{self.function_name(user)}"
        )

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def function_arn(self, name: str) -> str:
        return self.arn("lambda", f"function:{self.function_name(name)}")

    def role_arn(self, user: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.role_name(user)}"

    def log_group_arn(self, user: str) -> str:
        """The ARN of a log group, without the ":*" that some APIs want (Logs-4, Logs-5)."""
        return self.arn("logs", f"log-group:{self.log_group(user)}")

    @property
    def workflow_arn(self) -> str:
        return self.arn("states", f"stateMachine:{self.prefix}")

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket}"


@dataclass(frozen=True)
class Setting:
    """One line of [deployer]: parser, meaning, and whether [deployer:NAME] may hold it as well."""

    parse: Callable[[str], Any]
    meaning: str
    per_function: bool = False


# Limits: Lambda-28 (memory, timeout), botocore's lambda model (EphemeralStorage), Pc-6, Lambda-12
# (concurrency), Api-31 (rates), PRE-3 (names). Service and a stage leave room for account and
# region in the bucket's 63 characters.
SETTINGS: dict[str, Setting] = {
    "service": Setting(
        pattern(
            r"(?=.{2,24}$)[a-z](?:-?[a-z0-9])*",
            "2 to 24 lower-case letters, digits and single dashes, beginning with a letter",
        ),
        "first part of every resource name",
    ),
    "stage": Setting(
        pattern(
            r"(?=.{1,12}$)[a-z0-9](?:-?[a-z0-9])*",
            "1 to 12 lower-case letters, digits and single dashes",
        ),
        "second part of every resource name; stages exist side by side",
    ),
    "account": Setting(
        pattern("([0-9]{12})?", "an account id of 12 digits, or nothing"),
        "the only AWS account that the tool may use; empty: the account of the credentials",
    ),
    "region": Setting(
        pattern(r"[a-z]{2,4}(-[a-z]+)+-[0-9]", "an AWS region such as eu-central-1"),
        "AWS region of all resources",
    ),
    "memory_mb": Setting(
        integer(128, 10240), "memory of a function, which also sets its share of CPU", True
    ),
    "timeout_s": Setting(
        integer(1, 900),
        "longest time of one prediction; must be below its task's TimeoutSeconds",
        True,
    ),
    "ephemeral_storage_mb": Setting(integer(512, 10240), "size of a function's /tmp", True),
    "provisioned_concurrency": Setting(
        whole_or_nothing(1),
        "environments of a function that are kept ready, against cold starts; they cost while "
        "idle, and `plan` says how much; empty: none",
        True,
    ),
    "reserved_concurrency": Setting(
        whole_or_nothing(0),
        "most requests that a function answers at once, reserved for it in the account; 0 stops "
        "it; empty: it shares what the account has left",
        True,
    ),
    "architecture": Setting(
        pattern("x86_64|arm64", "x86_64 or arm64"),
        "processor architecture of the functions and their image",
    ),
    "builder": Setting(
        pattern("|".join(BUILDERS), "auto, docker or direct"),
        "docker builds the image with a Docker engine, direct without one; auto uses a running one",
    ),
    "base_image": Setting(
        image,
        "value of BASE in a Dockerfile; empty: AWS's image for the Python version that trained",
    ),
    "train": Setting(
        command,
        "command that trains the models, run in the project's folder if models/ is absent or "
        "empty; several are joined by &&",
    ),
    "log_retention_days": Setting(retention, "days until logs are deleted; never: they are kept"),
    "log_inputs": Setting(boolean, "the functions log their requests with all values"),
    "workflow_log": Setting(
        pattern("errors|all", "errors or all"),
        "events of executions that are logged: errors, or all, with the times of each state",
    ),
    "tracing": Setting(boolean, "X-Ray traces of workflow and functions"),
    "api": Setting(
        pattern("http|rest", "http or rest"),
        "kind of the API: http answers with the execution record, rest with plain JSON and status "
        "codes, at 3.5 times the price per call",
    ),
    "auth": Setting(
        pattern("|".join(AUTHS), "none, iam, jwt or key"),
        "who may call the API: none: everyone who knows the URL; iam: callers that sign with AWS "
        "credentials; jwt: holders of a token (api = http); key: holders of an API key, which "
        "meters and does not authenticate (api = rest)",
    ),
    "jwt_issuer": Setting(
        issuer, "with auth = jwt, the URL of the issuer, exactly as tokens name it in `iss`"
    ),
    "jwt_audience": Setting(
        words(50, 1024),
        "with auth = jwt, the values of which a token's `aud` or else `client_id` must have one",
    ),
    "jwt_scopes": Setting(
        scopes, "with auth = jwt, the scopes of which a token must have one; empty: none is asked"
    ),
    "key_rate_limit": Setting(
        integer(1, 10000), "with auth = key, requests per second that the API accepts of one key"
    ),
    "key_burst_limit": Setting(
        integer(1, 5000), "with auth = key, requests that the API accepts at once of one key"
    ),
    "key_quota": Setting(
        quota,
        "with auth = key, requests that the API accepts of one key in a period, such as 1000 per "
        "day (or week, or month); empty: without end",
    ),
    "cors_origins": Setting(origins, "origins whose pages may call the API; empty: CORS is off"),
    "cors_headers": Setting(header_names, "headers that these pages may send"),
    "cors_exposed_headers": Setting(header_names, "further headers that these pages may read"),
    "rate_limit": Setting(integer(1, 10000), "requests per second that the API accepts"),
    "burst_limit": Setting(integer(1, 5000), "requests that the API accepts at once"),
    "keep_releases": Setting(
        integer(2, 500), "how many releases stay in the account, to go back to"
    ),
    "alarm_email": Setting(
        email,
        "address that alarms go to (docs/operating.md), which cost: plan --cost; empty: no alarms",
    ),
    "alarm_topic": Setting(topic, "SNS topic of yours that alarms go to, by its ARN; empty: none"),
    "alarm_failures": Setting(
        integer(1, 1_000_000), "failures within five minutes from which on an alarm rings"
    ),
    "publish_example": Setting(
        boolean,
        "openapi and page show the examples of the manifest; no: made-up ones, since a record of "
        "the training may be a person's",
    ),
    "permissions_boundary": Setting(
        optional_arn, "IAM policy that limits the three roles, if your company requires one"
    ),
}
_FUNCTION_FIELDS = tuple(name for name, setting in SETTINGS.items() if setting.per_function)


def load_settings(
    project: Path, options: Mapping[str, str | None], environment: Mapping[str, str]
) -> Settings:
    """Collect the settings of a project folder.

    Args:
        options: values by setting, None for options that were not given.
        environment: only names that begin with DEPLOYER_ matter.

    Raises:
        NoProject
        ConfigError: with every problem, each beginning with its place.
    """
    problems: list[str] = []
    folder.refuse_absent(project)
    sections = read_sections(project / folder.CONFIG, SECTION, problems)
    given: dict[str, tuple[str, str]] = {}  # setting -> (place, text)
    _collect(given, sections.pop(SECTION, {}), f"setup.cfg [{SECTION}] ", SETTINGS, problems)
    variables = {
        name[len(VARIABLE) :].lower(): text
        for name, text in sorted(environment.items())
        if name.startswith(VARIABLE) and name[len(VARIABLE) :].lower() not in SECRETS
    }
    _collect(
        given,
        variables,
        "environment ",
        SETTINGS,
        problems,
        shown=lambda name: VARIABLE + name.upper(),
    )
    for name, text in options.items():
        if text is not None:
            given[name] = (f"--{name.replace('_', '-')}", text)
    values = _parse(given, problems)
    defaults = FunctionSettings(
        **{name: values.pop(name) for name in _FUNCTION_FIELDS if name in values}
    )
    per_function: dict[str, FunctionSettings] = {}
    for section, lines in sections.items():
        place = f"setup.cfg [{section}] "
        values_by_place: dict[str, tuple[str, str]] = {}
        _collect(values_by_place, lines, place, _FUNCTION_FIELDS, problems)
        per_function[section.partition(":")[2]] = replace(
            defaults, **_parse(values_by_place, problems)
        )
    settings = Settings(project=project, defaults=defaults, per_function=per_function, **values)
    if not problems:
        problems.extend(_contradictions(settings, given))
    if problems:
        raise ConfigError(problems, "README.md, Settings, lists all settings")
    return settings


def _contradictions(settings: Settings, given: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong with settings that are right one by one."""
    place, _ = given.get("auth", ("auth", ""))
    if settings.api not in AUTHS[settings.auth]:
        works = "; ".join(
            f"api = {api} with auth = {', '.join(auth for auth in AUTHS if api in AUTHS[auth])}"
            for api in ("http", "rest")
        )
        yield (
            f"{place}: {settings.auth!r} does not work with api = {settings.api}; "
            f"these work: {works}"
        )
    if settings.auth == "jwt":
        examples = {"jwt_issuer": "https://login.example.com/", "jwt_audience": "my-service"}
        for name, example in examples.items():
            if not getattr(settings, name):
                yield f"{place}: 'jwt' needs {name}, such as {name} = {example}"


def _collect(
    given: dict[str, tuple[str, str]],
    texts: Mapping[str, str],
    place: str,
    allowed: Collection[str],
    problems: list[str],
    shown: Callable[[str], str] = str,
) -> None:
    for name, text in texts.items():
        if name in allowed:
            given[name] = (place + shown(name), text.strip())
        else:
            problems.append(f"{place}{shown(name)}: unknown{_suggestion(name, allowed)}")


def _suggestion(name: str, allowed: Collection[str]) -> str:
    close = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(allowed)}"


def _parse(given: Mapping[str, tuple[str, str]], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (place, text) in given.items():
        try:
            values[name] = SETTINGS[name].parse(text)
        except ValueError as error:
            problems.append(
                f"{place}: {text[:_SHOWN]!r}{'...' if len(text) > _SHOWN else ''} {error}"
            )
    return values


def settings_table() -> Iterator[tuple[str, str, str]]:
    """Yield (name, default, meaning) of every setting, for the documentation."""
    defaults = {
        field_.name: field_.default for field_ in (*fields(Settings), *fields(FunctionSettings))
    }
    for name, setting in SETTINGS.items():
        default = defaults[name]
        text = (
            " ".join(default)
            if isinstance(default, tuple)
            else ""
            if default is None
            else str(default)
        )
        yield name, {"True": "yes", "False": "no"}.get(text, text), setting.meaning
