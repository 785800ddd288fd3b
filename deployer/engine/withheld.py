"""Which variables of functions look like secrets: their values are never shown.

Pure: no AWS, no clock, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deployer.engine.differences import FieldChange
from deployer.engine.plan import Change, Fields

WITHHELD = "(withheld)"
WITHHELD_NEW = "(withheld, another one)"
VARIABLES = "environment"  # the field of a function that holds them
_NAME = re.compile(
    r"(^|_)(SECRETS?|TOKEN|PASSWORD|PASSWD|PASSPHRASE|PWD|PW|CREDENTIALS?|APIKEY|AUTH|DSN)(_|$)"
    r"|(API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION|ACCOUNT|CLIENT|LICENSE)_?KEY|PASSWORD|SECRET"
)
_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a URL with a password
    r"|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\b(sk|pk|rk)[-_]\w{16,}|\bgh[a-z]_\w{20,}|\bgithub_pat_"
    r"|\bxox[a-z]-|\beyJ[\w-]{10,}\.|-----BEGIN"
)


def looks_secret(name: str, value: str) -> bool:
    """Tell whether a variable seems to hold a secret, by its name or its value."""
    return bool(_NAME.search(name.upper()) or _VALUE.search(value))


def shown(name: str, value: str) -> str:
    """Return a variable's value as it may be shown."""
    return WITHHELD if looks_secret(name, value) else value


def without_secret_values(change: Change) -> Change:
    """Return a change without the values of variables that look like secrets."""
    return replace(
        change,
        fields=tuple(map(_field, change.fields)),
        before=_members(change.before),
        after=_members(change.after),
    )


def _members(fields: Fields | None) -> Fields | None:
    if not fields or not isinstance(fields.get(VARIABLES), Mapping):
        return fields
    return {**fields, VARIABLES: _variables(fields[VARIABLES])}


def _field(field: FieldChange) -> FieldChange:
    if field.name != VARIABLES:
        return field
    variable = field.path.partition(".")[2]
    if not variable:
        return replace(field, before=_variables(field.before), after=_variables(field.after))
    texts = [value for value in (field.before, field.after) if isinstance(value, str)]
    if not any(looks_secret(variable, text) for text in texts):
        return field
    new = WITHHELD if len(texts) == 1 else WITHHELD_NEW
    return replace(
        field,
        before=None if field.before is None else WITHHELD,
        after=None if field.after is None else new,
    )


def _variables(variables: Any) -> Any:
    if not isinstance(variables, Mapping):
        return variables
    return {
        name: shown(name, value) if isinstance(value, str) else value
        for name, value in variables.items()
    }
