"""Alarms and metrics that others put into CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from deployer.aws.access import Aws


def put_alarm(aws: Aws, name: str, **changes: Any) -> None:
    """Put an alarm that rings at more than 1 error of Lambda's within a minute."""
    alarm = {
        "AlarmName": name,
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    aws.call("cloudwatch", "put_metric_alarm", **{**alarm, **changes})


def put_values(
    aws: Aws, namespace: str, own: Mapping[str, str], **numbers: Sequence[float]
) -> None:
    """Put values of metrics, which AWS's services do themselves; `own`: their dimensions."""
    dimensions = [{"Name": name, "Value": text} for name, text in own.items()]
    now = datetime.now(timezone.utc)
    data = [
        {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Value": number}
        for name in numbers
        for number in numbers[name]
    ]
    aws.call("cloudwatch", "put_metric_data", Namespace=namespace, MetricData=data)
