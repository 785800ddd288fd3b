"""Alarms."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Alarm-1",
        "resources/alarms.py",
        'aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tags)',
        "pass",
    ),
    Mutation(
        "Alarm-2",
        "service/alarms.py",
        'missing_data="notBreaching"',
        'missing_data="breaching"',
    ),
    Mutation(
        "Alarm-3",
        "resources/alarms.py",
        'AlarmName=f"{self.prefix}{name}",',
        'AlarmName=f"{self.prefix}{name}{id(fields)}",',
    ),
    Mutation("Alarm-4", "service/alarms.py", '    "TaskFailed",\n', ""),
    Mutation(
        "Alarm-5",
        "resources/sns.py",
        'if one["Protocol"] == "email" and one["Endpoint"] == wanted:',
        'if one["Protocol"] == "email":',
    ),
    Mutation(
        "Alarm-6",
        "service/inventory.py",
        "if not (settings.alarms or has_filter):",
        "if not settings.alarms:",
    ),
    Mutation(
        "Alarm-7",
        "aws/pace.py",
        '"cloudwatch:put_metric_alarm": (3, 3)',
        '"cloudwatch:put_metric_alarm": (300, 300)',
    ),
]
