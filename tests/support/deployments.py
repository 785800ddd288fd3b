"""A project deployed step by step into the difficult AWS, in one thread."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deployer.aws.access import Aws
from deployer.engine.events import Emit, Event
from deployer.engine.plan import Plan
from deployer.project.settings import Settings, load_settings
from deployer.service.down import plan_down
from deployer.service.listing import ListedRelease, list_releases
from deployer.service.release import read_release
from deployer.service.releases import read_history
from deployer.service.switching import plan_promotion, plan_rollback
from deployer.service.up import Deployment, plan_release, plan_up
from tests.support.beginnings import begin
from tests.support.serial import SerialExecutor
from tests.support.wire import REGION, Account, Answer, Call


def show_plan(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit = lambda event: None
) -> Plan:
    """Return the plan of `plan`, which writes nothing, not even a lock file."""
    release = read_release(settings, emit, write=False)
    return plan_release(aws, settings, release, pool, emit).plan


class Service:
    """A project and the account it is deployed into; its runs take place in one thread."""

    def __init__(self, account: Account, project: Path) -> None:
        self.account = account
        self.project = project
        account.functions = self._invoked
        self.events: list[Event] = []
        self.overrides: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        located = load_settings(self.project, {}, {}).located(
            account="123456789012", partition="aws", region=REGION
        )
        return replace(located, bare=True, **self.overrides)

    def up(self, aws: Aws | None = None, *, canary: int | None = None, **overrides: Any) -> Any:
        """Plan and apply; return the plan and the outputs.

        The runs that a test begins with take place once for each project and settings.
        """
        account = self.account
        usual = not account.troubles and account.functions == self._invoked
        if usual and account.runs is not None and aws is None and canary is None:
            return begin(self, overrides)
        return self.whole_up(aws, canary=canary, **overrides)

    def whole_up(
        self, aws: Aws | None = None, *, canary: int | None = None, **overrides: Any
    ) -> Any:
        """Do what `up` does, whether it has been done before or not."""
        deployment = self.deployment(aws, canary=canary, **overrides)
        return deployment.plan, deployment.apply(lambda: False)

    def deployment(
        self, aws: Aws | None = None, *, canary: int | None = None, **overrides: Any
    ) -> Deployment:
        """Plan `up`."""
        return plan_up(
            aws or self.account.aws(),
            replace(self.settings, **overrides),
            SerialExecutor(),
            self.events.append,
            canary=canary,
        )

    def rollback(self, to: int | None = None, aws: Aws | None = None, **overrides: Any) -> Any:
        """Go back; return the plan and the outputs."""
        settings = replace(self.settings, **overrides)
        place = (aws or self.account.aws(), settings, SerialExecutor(), self.events.append)
        switch = plan_rollback(*place, to)
        return switch.plan, switch.apply(lambda: False)

    def promote(self, aws: Aws | None = None, **overrides: Any) -> Any:
        """Make the canary's candidate live; return the plan and the outputs."""
        settings = replace(self.settings, **overrides)
        switch = plan_promotion(
            aws or self.account.aws(), settings, SerialExecutor(), self.events.append
        )
        return switch.plan, switch.apply(lambda: False)

    def releases(self) -> list[ListedRelease]:
        return list_releases(self.account.aws(), self.settings)

    def definition(self) -> Any:
        """Return the live workflow."""
        live = read_history(self.account.aws(), self.settings).live
        return live and live.workflow

    def plan(self, aws: Aws | None = None, **overrides: Any) -> Any:
        settings = replace(self.settings, **overrides)
        return show_plan(aws or self.account.aws(), settings, SerialExecutor(), self.events.append)

    def down(self, aws: Aws | None = None, **options: Any) -> Any:
        teardown = plan_down(
            aws or self.account.aws(),
            self.settings,
            SerialExecutor(),
            self.events.append,
            **options,
        )
        teardown.apply(lambda: False)
        return teardown.plan

    def _invoked(self, call: Call) -> Answer:
        """Answer Invoke as the project's models do, without a process for each of them."""
        _, arn, _ = unquote(urlsplit(call.url).path).rsplit("/", 2)
        manifest = json.loads((self.project / "models" / "manifest.json").read_text())
        functions = {
            self.settings.function_arn(name): entry for name, entry in manifest["models"].items()
        }
        entry = functions.get(arn.rpartition(":")[0], {})
        example = entry.get("example", {})
        expected = example.get("instances") == call.json["instances"]
        # `rollback` asks made records, of models too that the project has no more.
        answer = example["answer"] if expected else {"predictions": [0.0]}
        return Answer(200, {"Content-Type": "application/json"}, b"").with_json(answer)

    @property
    def told(self) -> list[str]:
        """The messages of all runs: waits and steps."""
        return [str(event.text) for event in self.events if hasattr(event, "text")]
