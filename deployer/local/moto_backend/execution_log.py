"""The events that a state machine logs while it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

_ENDS = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")


@dataclass(frozen=True)
class LoggedEvent:
    """An event as Step Functions writes it; `seconds` are since 1970."""

    seconds: float
    document: Mapping[str, Any]


class ExecutionLog:
    """Takes the events of one execution from moto's interpreter, in the place of its own session.

    That one would write them as Python objects, and not as JSON lines.

    Args:
        logging: the state machine's loggingConfiguration.
    """

    def __init__(self, logging: Mapping[str, Any], execution_arn: str) -> None:
        self.execution_arn = execution_arn
        self.configuration = SimpleNamespace(
            include_execution_data=bool(logging.get("includeExecutionData"))
        )
        self._level = str(logging.get("level", "OFF"))
        destinations = logging.get("destinations") or [{}]
        group = destinations[0].get("cloudWatchLogsLogGroup", {})
        self.group: str | None = group.get("logGroupArn")
        self.events: list[LoggedEvent] = []

    def log_level_filter(self, history_event_type: Any) -> bool:
        """Tell whether events of a type are logged."""
        from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for

        return bool(is_logging_enabled_for(self._level, history_event_type))

    def publish_history_log(self, history_log: Mapping[str, Any]) -> None:
        """Take an event; none after the end, for in moto the other branches of a failed Parallel
        go on.
        """
        if self.events and self.events[-1].document["type"] in _ENDS:
            return
        time = str(history_log["event_timestamp"]).replace("Z", "+00:00")
        seconds = datetime.fromisoformat(time).timestamp()
        document = {
            "id": history_log["id"],
            "type": str(getattr(history_log["type"], "value", history_log["type"])),
            "details": dict(history_log.get("details") or {}),
            "previous_event_id": history_log["previous_event_id"],
            "event_timestamp": str(round(1000 * seconds)),
            "execution_arn": self.execution_arn,
        }
        self.events.append(LoggedEvent(seconds, document))
