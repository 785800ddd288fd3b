"""Deploy several models behind one HTTP endpoint by calling AWS's APIs directly.

How `up` runs:

1. `cli` imports the verb's module from `commands/`, which parses the options. `project.settings`
   merges the defaults, [deployer] in setup.cfg, the environment and the options.
2. `service.declare` declares every resource, top to bottom: the table of contents.
3. `engine.apply.read_all` reads the actual state of all resources from the account, in parallel.
   There is no other state.
4. `engine.plan` compares desired with actual, field by field, and plans what to create, update,
   replace and delete.
5. `report.live` shows the plan. The verb asks for confirmation before it deletes or replaces.
6. `engine.apply.Run` walks the dependency graph (`engine.graph`), in which each resource applies
   its own change. `engine.events` report the progress.
7. A second read confirms that the plan is empty now. The URL goes to stdout.

Repeating a run is the recovery: the next run reads the account and resumes where the last one
stopped. `resources/` has one file per AWS service and one class per kind of resource. `local/` is
an AWS that runs on this machine. `images/` builds the function image. `aws/` makes the calls.

Imports point down: __main__ → cli → commands → local, service → report → project → engine →
resources → images → aws → files, machine → errors, hints.
"""

__version__ = "0.1.0"
