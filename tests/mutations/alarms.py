"""Alarms."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = [
    Mutation(
        "Alarm-1",
        "resources/alarms.py",
        'aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list(tags))',
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
        "email = wanted if wanted in subscribed else",
        "email = wanted if subscribed else",
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
    Mutation("Alarm-8", "service/alarm_topic.py", '"alias/aws/sns"', '"alias/aws"'),
    Mutation(
        "Alarm-9",
        "service/alarm_topic.py",
        "(partition, region) != (settings.partition, settings.region)",
        "partition != settings.partition",
    ),
    Mutation(
        "Alarm-10",
        "resources/sns.py",
        ' and one["SubscriptionArn"] != _DELETED',
        "",
    ),
]
