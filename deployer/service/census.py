"""The census by tags: resources with this service's tags, whatever their names."""

from __future__ import annotations

from collections.abc import Collection

from deployer.aws.access import Aws
from deployer.project.settings import Settings
from deployer.service.alarms import alarm_arn, topic_arn


def tagged_elsewhere(aws: Aws, settings: Settings, functions: Collection[str]) -> list[str]:
    """Return the ARNs of resources that carry our tags under a foreign name.

    Resources with our names are left out: their own service says whether they exist, while the
    Resource Groups Tagging API lags behind and lists deleted resources for a while. It does not
    know IAM.

    Args:
        functions: names of the functions that are or were ours.
    """
    filters = [{"Key": key, "Values": [value]} for key, value in sorted(settings.tags.items())]
    mappings = aws.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    ours = {
        *(f"arn:{settings.partition}:s3:::{name}" for name in settings.bucket_names.values()),
        settings.arn("ecr", f"repository/{settings.repository}"),
        settings.workflow_arn,
        *(settings.function_arn(name) for name in functions),
        *(settings.log_group_arn(user) for user in (*functions, "workflow", "api")),
        topic_arn(settings),
    }
    alarms = alarm_arn(settings, "")
    arns = (str(mapping["ResourceARN"]) for mapping in mappings)
    # HTTP APIs are found by their tags anyway, and their ids are not ours to choose.
    return sorted(
        arn
        for arn in arns
        if arn.removesuffix(":*") not in ours
        and not arn.startswith(alarms)
        and arn.split(":")[2] != "apigateway"
    )
