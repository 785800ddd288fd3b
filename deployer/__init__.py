"""Deploy several models behind one HTTP endpoint, with direct calls to AWS.

How `up` runs:

1. `cli` finds the module of the verb in `commands`. `commands.session` collects [deployer] of
   setup.cfg, the environment and the options into `project.settings.Settings`, and opens the
   account: `aws.access.Aws`.
2. `service.release.read_release` reads the release: state_machine.json, models/ and lambda_src/.
3. `service.declare.declare`, the table of contents, returns every resource of the release.
4. `engine.apply.read_all` reads the actual state of each from the account, in parallel. There is no
   other state.
5. `engine.plan.make_plan` compares desired with actual, field by field.
6. `report` shows the plan. The verb asks before it deletes or replaces resources.
7. `engine.apply.Run` walks the dependency graph (`engine.graph`); each resource creates, updates or
   deletes itself and reports by `engine.events`.
8. `service.outcome.prove` reads again until the plan is empty. The URL goes to stdout.

A run that was interrupted is repeated: it plans from the account and resumes where the last one
stopped. A kind of resource is one class in `resources`. `images` builds and pushes the function
image. `local` is an AWS that runs on this machine.

Imports point down: __main__ → cli → commands → local, service → report → engine → project,
resources → images → aws → files, machine → children, errors, hints.
"""

__version__ = "0.1.0"
