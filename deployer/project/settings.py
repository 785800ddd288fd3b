"""The settings of a service in one stage, and all names that follow from them.

`declared` is their table, `sections` says which place wins. All mistakes are reported at once, each
with its place. Knows no AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deployer.errors import ConfigError
from deployer.project import folder
from deployer.project.declared import (
    AUTHS,
    SETTINGS,
    FunctionSettings,
    ServiceSettings,
    settings_table,
)
from deployer.project.parsers import MOST_TAGS, WrongPart
from deployer.project.sections import Given, Places, read_places

__all__ = [
    "AUTHS",
    "SETTINGS",
    "FunctionSettings",
    "Settings",
    "SettingsSources",
    "load_settings",
    "read_settings",
    "settings_table",
]

_OF_FUNCTIONS = tuple(name for name, setting in SETTINGS.items() if setting.per_function)
_SHOWN = 80  # characters of a value that is wrong
_ADVICE = "docs/settings.md of the deployer explains all settings"
MANAGED_BY = "python -m deployer"
# The tag that names the user's own tags (resources.base): without it, one that the settings name no
# more could not be told from one that somebody else put there.
TAG_LIST = "deployer:tags"
_TAG_LIST_LIMIT = 256  # characters of a tag's value


@dataclass(frozen=True)
class Settings(ServiceSettings):
    """One service in one stage.

    `account`, `partition`, `region` and `dns_suffix` are known once STS has named the caller. An
    `account` that was set before is the only one that the tool may work in. `bare` images have
    neither base nor packages: their functions run in this Python, as --local needs it.

    Args:
        per_function: the functions that have settings of their own.
        function_sections: the sections of functions, of all stages, with the function's name.
        former_bucket: the bucket of the other namespace is there, and former releases read it.
    """

    per_function: Mapping[str, FunctionSettings] = field(default_factory=dict)
    function_sections: tuple[tuple[str, str], ...] = ()
    former_bucket: bool = False
    bare: bool = False
    adopt: bool = False
    proof: bool = True
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
            regional = settings.bucket_namespace != "global"
            raise ConfigError(
                [f"the bucket's name {settings.bucket} has more than 63 characters"],
                "shorten service or stage" + (", or set bucket_namespace = global" * regional),
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
    def all_tags(self) -> dict[str, str]:
        """All tags of a resource: those that mark it, and the user's own with their list."""
        listed = {TAG_LIST: " ".join(sorted(self.own_tags))} if self.own_tags else {}
        return {**self.tags, **self.own_tags, **listed}

    @property
    def prefix(self) -> str:
        return f"{self.service}-{self.stage}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.bucket_names[self.bucket_namespace]

    @property
    def other_bucket(self) -> str:
        """The name that the bucket has with the other `bucket_namespace`."""
        (name,) = set(self.bucket_names.values()) - {self.bucket}
        return name

    @property
    def bucket_names(self) -> dict[str, str]:
        """The bucket's name by namespace; the end -an is that of an account's own (S3-18)."""
        name = f"{self.prefix}-{self.account}-{self.region}"
        return {"global": name, "account-regional": f"{name}-an"}

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

    @property
    def bucket_arns(self) -> tuple[str, ...]:
        """The ARNs of the bucket, and of the one that former releases read (`former_bucket`)."""
        other = f"arn:{self.partition}:s3:::{self.other_bucket}"
        return (self.bucket_arn, other) if self.former_bucket else (self.bucket_arn,)


@dataclass(frozen=True)
class SettingsSources:
    """Settings, and the places that they come from."""

    settings: Settings
    places: Places


def load_settings(
    project: Path, options: Mapping[str, str | None], environment: Mapping[str, str]
) -> Settings:
    """Like `read_settings`, without the places."""
    return read_settings(project, options, environment).settings


def read_settings(
    project: Path, options: Mapping[str, str | None], environment: Mapping[str, str]
) -> SettingsSources:
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
    places = read_places(project / folder.CONFIG, options, environment, problems)
    values = _values(places, [name for name in SETTINGS if name not in _OF_FUNCTIONS], "", problems)
    defaults = FunctionSettings(**_values(places, _OF_FUNCTIONS, "", problems))
    per_function = {
        name: FunctionSettings(**_values(places, _OF_FUNCTIONS, name, problems))
        for name in places.functions
    }
    for name, given in places.elsewhere:
        _parsed(name, given, problems)
    sections = tuple((one.name, one.function) for one in places.sections if one.function)
    settings = Settings(
        project=project,
        defaults=defaults,
        per_function=per_function,
        function_sections=sections,
        **values,
    )
    if not problems:
        problems.extend(_contradictions(settings, places))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)), _ADVICE)
    return SettingsSources(settings, places)


def _values(
    places: Places, names: Sequence[str], function: str, problems: list[str]
) -> dict[str, Any]:
    """Return the values of settings by attribute; those that no place gives are left out.

    A map holds what all places give, key by key; an empty one takes the weaker places' away.
    """
    values: dict[str, Any] = {}
    for name in names:
        declaration, given = SETTINGS[name], places.of(name, function)
        for one in given if declaration.merged else given[-1:]:
            value = _parsed(name, one, problems)
            if declaration.merged and value:
                value = {**values.get(declaration.attribute, {}), **value}
            values[declaration.attribute] = value
    return values


def _parsed(name: str, given: Given, problems: list[str]) -> Any:
    """Return the value of a text; add to `problems` and return None for a wrong one."""
    try:
        return SETTINGS[name].parse(given.text)
    except WrongPart as error:
        problems.append(f"{given.place}: {error}")
    except ValueError as error:
        text = given.text
        problems.append(
            f"{given.place}: {text[:_SHOWN]!r}{'...' if len(text) > _SHOWN else ''} {error}"
        )
    return None


def _contradictions(settings: Settings, places: Places) -> Iterator[str]:
    """Yield what is wrong with settings that are right one by one."""
    yield from _wrong_auth(settings, places)
    yield from _wrong_tags(settings, places)


def _wrong_auth(settings: Settings, places: Places) -> Iterator[str]:
    place = next((one.place for one in reversed(places.of("auth"))), "auth")
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


def _wrong_tags(settings: Settings, places: Places) -> Iterator[str]:
    tags = settings.own_tags
    place = next((one.place for one in reversed(places.of("tags"))), "tags")
    if len(tags) > MOST_TAGS:
        yield f"{place}: {len(tags)} tags, but beside this tool's AWS takes {MOST_TAGS} at most"
    elif len(settings.all_tags.get(TAG_LIST, "")) > _TAG_LIST_LIMIT:
        yield (
            f"{place}: the names of all tags together have more than {_TAG_LIST_LIMIT} characters, "
            f"and the tag {TAG_LIST} must name them"
        )
    folded: dict[str, str] = {}
    for key in tags:
        other = folded.setdefault(key.lower(), key)
        if other != key:
            yield f"{place}: {other} and {key} are one tag for IAM, which ignores case"
