"""Step Functions."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

# Three branches are alike but for their names.
_FOREST_RETRIES = """"Resource": "${random_forest}",
              "Parameters": {
                "execution.$": "$$.Execution.Name",
                "input.$": "$"
              },
              "TimeoutSeconds": 24,
              "Retry": [
                {
                  "ErrorEquals": [
"""

MUTATIONS = [
    Mutation(
        "Sfn-2",
        "resources/stepfunctions.py",
        "parse=json.loads, write_as=canonical_json",
        "write_as=canonical_json",
    ),
    Mutation(
        "Sfn-3",
        "resources/stepfunctions.py",
        'replace_on = ("type",)',
        "replace_on = ()",
        "workflow",
    ),
    Mutation(
        "Sfn-5",
        "service/declare.py",
        "destination=f\"{settings.log_group_arn('workflow')}:*\"",
        "destination=settings.log_group_arn('workflow')",
    ),
    Mutation("Sfn-6", "service/declare.py", 'else "ERROR",', 'else "FATAL",'),
    Mutation(
        "Sfn-7", "project/workflow.py", '(".sync", ".sync:2", ".waitForTaskToken")', '(".sync",)'
    ),
    Mutation("Sfn-8", "service/validation.py", 'type="EXPRESS"', 'type="STANDARD"'),
    Mutation("Sfn-9", "service/up.py", '"not checked: {error.message}"', '"x"', "may_not"),
    Mutation(
        "Sfn-10",
        "resources/stepfunctions.py",
        '{"level": "OFF", "includeExecutionData": False, "destinations": []}',
        "{}",
    ),
    Mutation(
        "Sfn-11",
        "resources/stepfunctions.py",
        '{"definition", "role_arn"} | change.names',
        "change.names",
    ),
    Mutation(
        "Sfn-14",
        "resources/stepfunctions.py",
        '"tracingConfiguration.enabled", default=False',
        '"tracingConfiguration.enabled", default=True',
    ),
    Mutation(
        "Sfn-15",
        "resources/stepfunctions.py",
        'self.ours.check(f"state machine {self.name}", tags)',
        "pass",
    ),
    Mutation(
        "Sfn-16",
        "local/moto_backend/state_machine_versions.py",
        "if version.revision == _revision(self):",
        "if False:",
        "right",
    ),
    Mutation("Sfn-18", "resources/stepfunctions.py", '("ConflictException",),', "(),"),
    Mutation("Sfn-19", "resources/stepfunctions.py", '{"publish": True, ', "{"),
    Mutation(
        "Sfn-21",
        "resources/stepfunctions.py",
        "return True if answer is None else None",
        "return True",
    ),
    Mutation(
        "Sfn-22", "aws/clients.py", "inject_host_prefix=not overridden", "inject_host_prefix=True"
    ),
    Mutation(
        "Sfn-23",
        "service/invoke.py",
        'return self.record.get("status") == "SUCCEEDED"',
        "return True",
    ),
    Mutation(
        "Sfn-25",
        "lambda_src/contract.py",
        "MAXIMUM_INSTANCES = 1000",
        "MAXIMUM_INSTANCES = 999",
        "batch",
    ),
    Mutation(
        "Sfn-26",
        "state_machine.json",
        '"States.ALL"\n                  ],\n                  "Next": "random_forest fails"',
        '"States.Nothing"\n                  ],\n                  "Next": "random_forest fails"',
    ),
    Mutation(
        "Sfn-27",
        "project/workflow.py",
        "if isinstance(resource, str) and _INVOKE",
        "if False and _INVOKE",
    ),
    Mutation(
        "Sfn-28",
        "state_machine.json",
        f'{_FOREST_RETRIES}                    "Lambda.ServiceException",\n',
        _FOREST_RETRIES,
    ),
    Mutation("Sfn-29", "project/workflow.py", "or not whole < INTEGRATION_TIMEOUT_S:", "or False:"),
    Mutation(
        "Sfn-30",
        "local/workflow.py",
        "except ValueError as error:",
        "except ZeroDivisionError as error:",
    ),
    Mutation(
        "Sfn-32",
        "project/expressions.py",
        "for name in dict.fromkeys(_read_at_the_top(tree)):",
        "for name in ():",
    ),
    Mutation(
        "Sfn-33",
        "local/moto_backend/jsonata_mends.py",
        "if not state.catch or event",
        "if True or event",
    ),
    Mutation(
        "Sfn-35",
        "local/moto_backend/jsonata_mends.py",
        "    write_times()\n\n",
        "    pass\n\n",
        "writes_times",
    ),
    Mutation("Sfn-36", "project/workflow.py", "if name in places:", "if False:"),
    Mutation("Sfn-37", "state_machine.json", '"$[*].version"', '"$[0].version"'),
    Mutation("Sfn-38", "project/canary.py", "{_LANGUAGE: _JSONATA, **state}", "state"),
    Mutation("Sfn-39", "project/canary.py", "$random() < {", "$random() <= {"),
    Mutation("Sfn-40", "project/canary.py", 'new = f"{side}: {name}"', 'new = f"{side}  {name}"'),
]
