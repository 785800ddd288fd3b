"""Deploy several models behind one HTTP endpoint: S3, ECR, IAM, Logs, Lambda, Step Functions and
API Gateway, directly.

How a run flows:

1. `cli` finds the module of the verb in `commands/`, which parses. `settings` collects [deployer]
   of setup.cfg, the environment and the options into one Settings.
2. `service` declares every resource from the Settings, state_machine.json and models/manifest.json.
3. `apply.read_all` reads each resource's actual state from the account, in parallel. There is no
    other state.
4. `plan` compares desired with actual, field by field, and says what has to be created, updated,
    replaced, deleted.
5. `report` shows the plan. The verb asks when something would be deleted or replaced.
6. `apply.Run` walks the dependency graph (`graph`) and lets each resource do its part; `events`
    tell what happens.
7. A second read proves the result: the plan is empty now. The URL goes to stdout.

A run that dies is repeated: each step finds what the last run left and goes on. `resources/` has
one file per AWS service, and a kind of resource is one class there that owns its whole life.
`local/` is an AWS that runs on this machine.

Imports point down: cli -> commands -> report, operate, invoke -> apply, service -> resources ->
images, aws, plan -> compare, events, signin -> errors (tests/unit/test_imports.py).
"""

__version__ = "0.1.0"
