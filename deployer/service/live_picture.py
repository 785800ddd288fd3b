"""The live workflow as it is drawn: its tasks call functions by their names in the folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployer.aws.access import Aws
from deployer.errors import ReleaseUnavailable
from deployer.project.drawing import UNKNOWN, Machine, Mark, drawing
from deployer.project.settings import Settings
from deployer.service.logs import function_names
from deployer.service.releases import workflow_of
from deployer.service.tracing import Trace


@dataclass(frozen=True)
class LivePicture:
    """The live workflow, and since when it is live: the time of the newest release."""

    machine: Machine
    since: datetime | None


def live_picture(aws: Aws, settings: Settings) -> LivePicture:
    """Read the live workflow; raise ReleaseUnavailable if there is none."""
    machine = workflow_of(settings)
    definition, versions = aws.together(
        lambda: machine.definition(aws), lambda: machine.versions(aws, 1)
    )
    if definition is None:
        raise ReleaseUnavailable(
            f"nothing is deployed as service {settings.service}, stage {settings.stage}, in "
            f"account {settings.account}, {settings.region}",
            "to deploy: python -m deployer up",
        )
    names = function_names(settings, definition.workflow)
    workflow = with_names(
        definition.workflow, {settings.function_arn(name): name for name in names}
    )
    return LivePicture(drawing(workflow), versions[0].created if versions else None)


def with_names(workflow: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a workflow with ${name} for each version's ARN, as in the folder.

    Args:
        names: by the ARNs of the functions.
    """
    text = json.dumps(workflow)
    for arn, name in names.items():
        text = re.sub(rf'"{re.escape(arn)}(:[0-9]+)?"', f'"${{{name}}}"', text)
    found: dict[str, Any] = json.loads(text)
    return found


def remarks(picture: LivePicture, trace: Trace, marks: Mapping[str, Mark]) -> Iterator[str]:
    """Yield what a picture of a request does not show, and why."""
    unknown = {
        state.function
        for state in picture.machine.every_state()
        if state.name in marks and marks[state.name].kind == UNKNOWN
    }
    if picture.since and picture.since.timestamp() * 1000 > trace.begin_ms:
        yield "the workflow was released again after this request; the picture shows the live one"
    if not trace.is_whole:
        yield "with workflow_log = all it shows every state, and which were not reached"
        yield from (f"not invoked: {failure}" for failure in trace.counted_failures)
    for name, absence in trace.absent.items():
        if name in unknown:
            yield f"{name}: {absence.reason}"
