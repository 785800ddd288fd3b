"""`down` without a terminal: take the inventory, plan, delete, prove that nothing remains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from deployer.aws.access import Aws
from deployer.engine.apply import Run, plan_teardown
from deployer.engine.events import Emit, Note, PlanReady, RunFinished
from deployer.engine.plan import Plan
from deployer.errors import AwsError, ForeignResource, NotSettled
from deployer.project.settings import Settings
from deployer.service.census import tagged_elsewhere
from deployer.service.inventory import Inventory, take_inventory
from deployer.service.outcome import Stopped, check_result, prove
from deployer.service.release import declared_names


@dataclass(frozen=True)
class Teardown:
    """A planned `down`."""

    aws: Aws
    settings: Settings
    pool: Executor
    emit: Emit
    keep_data: bool
    inventory: Inventory
    plan: Plan

    def apply(self, stopped: Stopped) -> None:
        """Delete, prove it by a second inventory, and take the census by tags.

        Raises:
            NotSettled: something of ours remains, or carries our tags or names and is not ours.
        """
        result = Run(self.aws, self.emit, self.pool, stopped).down(
            self.plan, self.inventory.resources
        )
        check_result(result, stopped)
        tagged = self.pool.submit(tagged_elsewhere, self.aws, self.settings, self.inventory.names)
        if not self.plan.is_empty:
            prove(self.aws, self._remaining)
            self.emit(RunFinished("down", result.counts))
        _check_census(tagged, self.inventory.foreign, self.emit)

    def _remaining(self) -> str:
        """Take the inventory again; say which resources are still there, "" if none.

        A log group that AWS made again is deleted again: it has no tags, but was ours a moment ago
        (Logs-9).
        """
        now = take_inventory(
            self.aws, self.settings, self.inventory.names, self.pool, keep_data=self.keep_data
        )
        # Resources inside a foreign one count as foreign from the beginning.
        remaining = [key for key in now.existing if key not in self.inventory.inside_foreign]
        deleted = {change.key for change in self.plan.effective}
        for resource in now.resources:
            if resource.comes_back and resource.key in deleted & now.foreign.keys():
                resource.delete(self.aws)
                remaining.append(resource.key)
        return f"this is still there: {', '.join(remaining)}" if remaining else ""


def plan_down(
    aws: Aws, settings: Settings, pool: Executor, emit: Emit, *, keep_data: bool = False
) -> Teardown:
    """Plan the deletion of everything of this service and stage, and show the plan.

    Foreign resources are named and left alone.

    Args:
        keep_data: whether the bucket, its models and the log groups stay.
    """
    inventory = take_inventory(aws, settings, declared_names(settings), pool, keep_data=keep_data)
    plan = plan_teardown(inventory.resources, inventory.deletable)
    emit(PlanReady(plan))
    for line in _staying(settings, inventory):
        emit(Note(line))
    return Teardown(aws, settings, pool, emit, keep_data, inventory, plan)


def _staying(settings: Settings, inventory: Inventory) -> Iterator[str]:
    """Yield a line for each group of resources that stay, with the reason."""
    for error in inventory.foreign.values():
        yield f"left alone: {error.message}"
    if inventory.kept:
        groups = ", ".join(
            settings.log_group(key.partition("/")[2])
            for key in sorted(inventory.kept)
            if key.startswith("logs/")
        )
        yield f"kept, with all that is in it: S3 bucket {settings.bucket}; log groups {groups}"


def _check_census(
    tagged: Future[list[str]], foreign: Mapping[str, ForeignResource], emit: Emit
) -> None:
    """Raise NotSettled for resources with our names or our tags that are not ours to delete."""
    remains = [f"{error.message}, and was left alone" for error in foreign.values()]
    try:
        remains += [
            f"{arn} carries this service's tags, but not its name" for arn in tagged.result()
        ]
    except AwsError as error:
        emit(Note(f"the census was taken by names only, not by tags: {error.message}"))
    if remains:
        raise NotSettled(
            "\n".join(remains), "check each one, and delete by hand those that are no longer needed"
        )
