"""Step Functions' own check of the workflow, before it is created or changed (Sfn-8)."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.aws.access import Aws
from deployer.engine.compare import canonical_json
from deployer.engine.plan import resolve
from deployer.project.settings import Settings
from deployer.resources.base import Resource
from deployer.service.rehearsal import stand_in


def workflow_findings(aws: Aws, settings: Settings, workflow: Resource) -> Iterator[str]:
    """Yield what Step Functions would refuse; the functions' versions need not exist for it.

    Args:
        workflow: as it is declared: also a composite of two is checked as a whole.

    Raises:
        AwsError: it may not be asked (Sfn-9), or does not answer.
    """
    definition = resolve(workflow.fields["definition"], lambda ref: stand_in(settings, ref))
    answer = aws.call(
        "stepfunctions",
        "validate_state_machine_definition",
        definition=canonical_json(definition),
        type="EXPRESS",  # else what EXPRESS alone refuses is missed
    )
    if answer["result"] != "OK":
        for diagnostic in answer.get("diagnostics", ()):
            yield (
                f"state_machine.json: {diagnostic.get('location', '$')}: {diagnostic.get('code')}: "
                f"{diagnostic.get('message')}"
            )
