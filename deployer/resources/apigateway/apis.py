"""Both kinds of API: they are found by their tags, and of two that were made at once one stays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypedDict

from deployer.aws.access import Aws
from deployer.engine.plan import Fields, State
from deployer.errors import AwsError, DeployerError, ForeignResource
from deployer.resources.apigateway.calls import ABSENT
from deployer.resources.base import LOG_DELIVERY, Owned, Ownership, Resource, Tags


@dataclass(frozen=True)
class Listed:
    """An API in a listing. `answer` is AWS's, `endpoint` a URL without a slash at its end."""

    api_id: str
    name: str
    tags: Tags
    created: Any
    endpoint: str
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class ApiMetrics:
    """How CloudWatch names an API, and its counts of answers from 400 and from 500 on (Cw-5)."""

    dimensions: Mapping[str, str]
    client_errors: str
    server_errors: str


class Access(TypedDict):
    """Who may call an API of either kind.

    Args:
        open: the routes, such as "POST /", that anyone may call who knows the URL.
        every_origin: whether pages of every origin may call it.
    """

    open: list[str]
    every_origin: bool


@dataclass(frozen=True)
class Catalogue:
    """The APIs of one kind in an account. Their names are not unique (Api-1).

    Args:
        title: of the kind, such as "HTTP API".
        deletion: the command that deletes one by hand.
        metrics: returns how CloudWatch counts an API.
        access: reads who may call an API.
    """

    title: str
    deletion: str
    every: Callable[[Aws], Iterable[Listed]]
    exists: Callable[[Aws, str], bool]
    is_served: Callable[[Aws, str], bool]
    remove: Callable[[Aws, str], None]
    metrics: Callable[[Listed], ApiMetrics]
    access: Callable[[Aws, Listed], Access]

    def ours(self, aws: Aws, ours: Ownership) -> list[Listed]:
        """Return the APIs that carry our tags, oldest first."""
        marked = (api for api in self.every(aws) if ours.marks(api.tags))
        return sorted(marked, key=lambda api: (api.created, api.api_id))

    def one(self, aws: Aws, ours: Ownership, name: str) -> Listed | None:
        """Return our API; raise ForeignResource if there are several, or one that is not ours."""
        every = list(self.every(aws))
        apis = [api for api in every if ours.marks(api.tags)]
        if not apis:
            apis = [api for api in every if api.name == name]
            for api in apis:
                ours.check(f"{self.title} {name} ({api.api_id})", api.tags)
        if len(apis) > 1:
            ids = ", ".join(sorted(api.api_id for api in apis))
            raise ForeignResource(
                f"{len(apis)} {self.title}s carry this service's tags or name: {ids}",
                f"delete all but the one whose URL your clients use ({self.deletion} ID)",
            )
        return apis[0] if apis else None


class OwnedApi(Owned):
    """The APIs of one kind that carry our tags: those of a service that has another kind now."""

    reads = ("apigateway:GET",)
    deletes = ("apigateway:DELETE",)

    def __init__(
        self, key: str, *, catalogue: Catalogue, ours: Ownership, needs: Collection[str] = ()
    ) -> None:
        super().__init__(key, needs)
        self.catalogue = catalogue
        self.ours = ours

    def find(self, aws: Aws) -> State | None:
        """Return who may call it: the API that takes its place is compared with this."""
        for api in self.catalogue.ours(aws, self.ours):
            try:
                return State({"access": self.catalogue.access(aws, api)})
            except AwsError as error:
                if error.code not in ABSENT:  # a listing may lag behind
                    raise
        return None

    def delete(self, aws: Aws) -> None:
        for api in self.catalogue.ours(aws, self.ours):
            self.catalogue.remove(aws, api.api_id)


class Api(Resource):
    """An API that starts the state machine for each request.

    Outputs: `api_id`; `endpoint`, a URL without a slash at its end.
    """

    catalogue: ClassVar[Catalogue]
    anew = "the service gets a new URL, which its clients must be told"
    exists = ("ConflictException",)
    reads = ("apigateway:GET",)
    passed_to = "apigateway.amazonaws.com"
    # AWS calls the log delivery set on the caller's behalf, for the access log.
    writes = (
        "iam:PassRole",
        "apigateway:POST",
        "apigateway:PATCH",
        "apigateway:PUT",
        "apigateway:DELETE",
        *LOG_DELIVERY,
    )
    deletes = ("apigateway:DELETE",)

    def __init__(
        self,
        key: str,
        *,
        name: str,
        ours: Ownership,
        fields: Fields,
        needs: Collection[str] = (),
        follows: str = "",
    ) -> None:
        super().__init__(key, fields, needs)
        self.name = name
        self.ours = ours
        self.follows = follows

    @staticmethod
    @abstractmethod
    def access(fields: Fields) -> Access:
        """Return whom the fields of this kind let call."""

    @abstractmethod
    def admits(self, before: Fields, after: Fields, open: Collection[str]) -> Iterator[str]:
        """Say which holders of credentials may call that might not before.

        Args:
            before: has no fields of this kind if the API takes another one's place.
            open: the routes that anyone might call before.
        """

    def widens(self, before: Fields | None, after: Fields) -> Iterator[str]:
        yield from super().widens(before, after)
        fields = before or {}
        former, wanted = fields.get("access") or self.access(fields), self.access(after)
        for route in wanted["open"]:
            if route not in former["open"]:
                yield f"anyone who knows the URL may call {route}"
        yield from self.admits(fields, after, former["open"])
        if wanted["every_origin"] and not former["every_origin"]:
            yield "pages of every origin may call it (CORS *)"

    def read(self, aws: Aws) -> State | None:
        api = self.catalogue.one(aws, self.ours, self.name)
        try:
            return self.read_parts(aws, api) if api else None
        except AwsError as error:
            if error.code in ABSENT:  # deleted meanwhile, or still listed
                return None
            raise

    @abstractmethod
    def read_parts(self, aws: Aws, api: Listed) -> State:
        """Return the state of our API and its parts."""

    def find(self, aws: Aws) -> State | None:
        api = self.catalogue.one(aws, self.ours, self.name)
        # A listing may lag behind.
        return State({}) if api and self.catalogue.exists(aws, api.api_id) else None

    def delete(self, aws: Aws) -> None:
        for api in self.catalogue.ours(aws, self.ours):
            self.catalogue.remove(aws, api.api_id)

    def newest(self, aws: Aws) -> Mapping[str, Any] | None:
        """Return our API as a creation whose answer was lost would have answered."""
        apis = self.catalogue.ours(aws, self.ours)
        return apis[0].answer if apis else None

    def yield_to_other(self, aws: Aws, api_id: str, *, complete: bool) -> None:
        """Give way to an API that another run created at the same time.

        The older API stays. Dates are whole seconds, so of two of the same second the one with the
        smaller id stays, unless ours is not `complete` yet and the other is served: its run has
        listed the APIs before ours was created.
        """
        ids = [api.api_id for api in self.catalogue.ours(aws, self.ours)]
        # A listing may not see the new one yet (GEN-8).
        older = ids[: ids.index(api_id)] if api_id in ids else []
        others = [
            other
            for other in ids
            if other != api_id
            and (other in older or (not complete and self.catalogue.is_served(aws, other)))
        ]
        if others:
            self.catalogue.remove(aws, api_id)
            raise DeployerError(
                f"another run created the {self.catalogue.title} {others[0]} at the same time",
                "run the command again: it goes on with that one",
            )
