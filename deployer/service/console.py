"""Pages of AWS's console that show a part of the service."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from deployer.project.settings import Settings

_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def console_links(
    settings: Settings, endpoint: str | None, names: Iterable[str], url: str | None
) -> dict[str, str]:
    """Return the pages of the workflow, the API and each model's log; none elsewhere than on AWS.

    Args:
        endpoint: that replaces AWS's own.
        names: of the models.
        url: of the API.
    """
    domain = _DOMAINS.get(settings.partition)
    if endpoint is not None or domain is None:
        return {}
    region = settings.region
    start = f"https://{region}.{domain}"
    links = {
        "workflow": f"{start}/states/home?region={region}#/statemachines/view/"
        f"{quote(settings.workflow_arn, safe='')}"
    }
    if url is not None:
        api_id = (urlsplit(url).hostname or "").partition(".")[0]
        links["api"] = (
            f"{start}/apigateway/main/apis/{api_id}/resources?api={api_id}&region={region}"
        )
    for name in names:
        # The console wants the name quoted twice, with $ in place of %.
        group = quote(quote(settings.log_group(name), safe=""), safe="").replace("%", "$")
        links[f"logs/{name}"] = (
            f"{start}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}"
        )
    return links
