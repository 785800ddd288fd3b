"""Who may call the API: what each value of `auth` asks of a caller."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.engine.plan import Ref
from deployer.project.settings import Settings
from deployer.resources.apigateway.authorizer import NAME, AuthorizerFields
from deployer.resources.apigateway.rest_limits import QuotaFields, ThrottleFields
from deployer.resources.apigateway.rest_stage import STAGE
from deployer.resources.apigateway.rest_usage_plan import (
    MeteredStageFields,
    OwnedUsagePlan,
    UsagePlan,
    UsagePlanFields,
)
from deployer.resources.apigateway.routes import RouteFields
from deployer.resources.base import Owned, Resource
from deployer.service.ownership import ownership

# The headers that hold a caller's credentials; pages must be allowed to send them.
HEADERS = {
    "none": (),
    "iam": ("authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"),
    "jwt": ("authorization",),
    "key": ("x-api-key",),
}
# AWS's name of each authorization; a key is asked besides, and authorizes nobody.
AUTHORIZATIONS = {"none": "NONE", "iam": "AWS_IAM", "jwt": "JWT", "key": "NONE"}
USAGE_PLAN = "usage-plan"
PUBLIC = "the URL is public: anyone who knows it may call the service (auth = none)"


def allowed_headers(settings: Settings) -> list[str]:
    """Return the headers that pages of other origins may send."""
    return list(dict.fromkeys([*settings.cors_headers, *HEADERS[settings.auth]]))


def warnings(settings: Settings) -> Iterator[str]:
    """Yield what a reader of the settings should know of them."""
    if settings.auth in ("iam", "jwt") and "*" in settings.cors_origins:
        yield (
            f"warning: with auth = {settings.auth} and cors_origins = *, pages of every origin may "
            "send the credentials that they get hold of; name the origins of your own pages"
        )


def route(settings: Settings) -> RouteFields:
    """Return the route of an HTTP API."""
    is_jwt = settings.auth == "jwt"
    return RouteFields(
        key="POST /",
        authorization=AUTHORIZATIONS[settings.auth],
        authorizer=NAME if is_jwt else None,
        scopes=sorted(settings.jwt_scopes) if is_jwt else [],
    )


def authorizer(settings: Settings) -> AuthorizerFields | None:
    """Return the authorizer of an HTTP API's route, if it has one."""
    if settings.auth != "jwt":
        return None
    return AuthorizerFields(
        type="JWT",
        issuer=settings.jwt_issuer or "",
        audience=sorted(settings.jwt_audience),
        sources=["$request.header.Authorization"],
    )


def usage_plan(settings: Settings) -> Resource:
    """Return the usage plan of a REST API, which limits its keys."""
    limit, _, period = (settings.key_quota or "").partition(" per ")
    return UsagePlan(
        USAGE_PLAN,
        name=settings.prefix,
        ours=ownership(settings),
        fields=UsagePlanFields(
            tags=settings.all_tags,
            description=f"{settings.prefix}: limits of each API key",
            stages=[MeteredStageFields(api_id=Ref("api", "api_id"), stage=STAGE)],
            throttle=ThrottleFields(
                rate_limit=settings.key_rate_limit, burst_limit=settings.key_burst_limit
            ),
            quota=QuotaFields(limit=int(limit), period=period.upper()) if limit else None,
            loose_keys=[],
            foreign_keys=[],
            key_tags={},
        ),
        needs=["api"],
    )


def former_usage_plan(settings: Settings) -> Owned:
    """Return the usage plan and the keys of a service that asked for keys before."""
    kind = "api" if settings.api == "rest" else "api/rest"
    return OwnedUsagePlan(USAGE_PLAN, ours=ownership(settings), needs=[kind])
