"""What is left of a service in its account: looked for by tags, beside what can be looked for by
name.
"""

from __future__ import annotations

from collections.abc import Collection

from deployer.aws.access import Aws
from deployer.project.settings import Settings


def tagged_elsewhere(aws: Aws, settings: Settings, functions: Collection[str]) -> list[str]:
    """Return the ARNs of what carries our tags under a name that is none of ours, from the Resource
    Groups Tagging API.

    What has one of our names is left out: its own service says whether it is there, while this API
    lags behind and lists the deleted for a while. It does not know IAM.

    Args:
        functions: the names of the functions that are or were ours.
    """
    filters = [{"Key": key, "Values": [value]} for key, value in sorted(settings.tags.items())]
    found = aws.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=filters
    )
    ours = {
        settings.bucket_arn,
        settings.arn("ecr", f"repository/{settings.repository}"),
        settings.workflow_arn,
        *(settings.function_arn(name) for name in functions),
        *(settings.log_group_arn(user) for user in (*functions, "workflow", "api")),
    }
    arns = (str(each["ResourceARN"]) for each in found)
    # HTTP APIs are found by their tags anyway, and their ids are not ours to choose.
    return sorted(
        arn
        for arn in arns
        if arn.removesuffix(":*") not in ours and arn.split(":")[2] != "apigateway"
    )
