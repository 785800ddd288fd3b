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
from deployer.images.context import NO_BASE
from deployer.project.settings import Settings, load_settings
from deployer.service.down import plan_down
from deployer.service.release import read_release
from deployer.service.up import plan_release, plan_up
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
        return replace(located, base_image=NO_BASE, **self.overrides)

    def up(self, aws: Aws | None = None, **overrides: Any) -> Any:
        """Plan and apply; return the plan and the outputs."""
        deployment = plan_up(
            aws or self.account.aws(),
            replace(self.settings, **overrides),
            SerialExecutor(),
            self.events.append,
        )
        return deployment.plan, deployment.apply(lambda: False)

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
        entry = functions[arn.rpartition(":")[0]]
        example = entry.get("example", {})
        assert call.json == {"instances": example["instances"]}
        return Answer(200, {"Content-Type": "application/json"}, b"").with_json(example["answer"])

    @property
    def told(self) -> list[str]:
        """The messages of all runs: waits and steps."""
        return [str(event.text) for event in self.events if hasattr(event, "text")]
