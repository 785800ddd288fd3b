"""The session with AWS: region, endpoint, credentials, and one client for each service.

botocore's own retries are off. They repeat a creation whose answer was lost, which creates a second
HTTP API (Api-3); they take a used-up quota for a throttle (GEN-3), and do not recognise a throttle
that says so only in its message (R-26); and nobody sees them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from deployer import __version__
from deployer.aws.botocore_patches import SERVICES
from deployer.aws.partitions import Partitions
from deployer.aws.signin import explained, open_session, sign_in
from deployer.aws.signing import signed
from deployer.errors import LOCAL_ADVICE, AwsError, ConfigError

_CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30.0


class Clients:
    """boto3's session, opened when it is first needed, and its clients; for any number of threads.

    Args:
        region, profile: as boto3 takes them; None leaves the choice to AWS's environment variables
            and files.
        endpoint_url: one endpoint for every service; None leaves it to AWS_ENDPOINT_URL and AWS.
        credentials: an access key and its secret, in place of those of the environment.
        connections: how many threads may call one service at once.
    """

    def __init__(
        self,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        credentials: tuple[str, str] | None,
        connections: int,
    ) -> None:
        self._region = region
        self._profile = profile
        self._endpoint_url = endpoint_url
        self._credentials = credentials
        self._connections = connections
        self._opened: Any = None
        self._opening = threading.Lock()
        self._clients: dict[tuple[str, float], Any] = {}
        self._making = threading.Lock()

    @property
    def _session(self) -> Any:
        with self._opening:
            if self._opened is None:
                # AWS_REGION counts, as in AWS's other SDKs; boto3 ignores it.
                region = self._region or os.environ.get("AWS_REGION")
                self._opened = open_session(region, self._profile, self._credentials)
            return self._opened

    def sign_in(self) -> None:
        """Find the credentials, or renew them if that is due; raise NoCredentials without any."""
        if self._credentials is None:
            sign_in(self._session)

    def signed(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers of a request to a deployed API, with the caller's signature."""
        self.sign_in()
        return signed(self._session, self.region, method, url, body, headers)

    @property
    def region(self) -> str:
        """The region in force; ConfigError without one."""
        region = self._session.region_name
        if not region:
            raise ConfigError(
                [
                    "no region: neither --region, DEPLOYER_REGION, [deployer] region, AWS_REGION "
                    "nor a profile names one"
                ],
                f"name one, for example --region eu-central-1; {LOCAL_ADVICE}",
            )
        return str(region)

    @property
    def endpoint(self) -> str | None:
        """The endpoint that replaces AWS's own; None for AWS's own."""
        if self._endpoint_url:
            return self._endpoint_url
        endpoint = self.client("sts").meta.endpoint_url
        return None if self.partitions.owns(endpoint) else endpoint

    @property
    def partitions(self) -> Partitions:
        """The partitions that botocore knows; it reads their file for each client anyway."""
        loader = self._session._session.get_component("data_loader")
        return Partitions(loader.load_data("partitions")["partitions"])

    def client(self, service: str, read_timeout_s: float = READ_TIMEOUT_S) -> Any:
        """Return the client of a service, which all threads share.

        Args:
            read_timeout_s: how long it waits for an answer; the client is another one for each.
        """
        key = service, read_timeout_s
        with self._making:  # boto3 may not make two clients at once
            if key not in self._clients:
                self._clients[key] = self.new_client(service, read_timeout_s)
            return self._clients[key]

    def make_clients(self, *services: str) -> None:
        """Make the clients of services, or of all; an error is left for the first call."""
        for service in services or SERVICES:
            with suppress(AwsError):
                self.client(service)

    def new_client(self, service: str, read_timeout_s: float = READ_TIMEOUT_S) -> Any:
        """Make a client; `client` keeps it."""
        import botocore
        from botocore.config import Config
        from botocore.exceptions import UnknownServiceError

        overridden = self._endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=self._connections,
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=read_timeout_s,
            user_agent_extra=f"deployer/{__version__}",
            inject_host_prefix=not overridden,  # Sfn-22: an overridden host has no sync- twin
        )
        region = self.region
        self.sign_in()
        try:
            return self._session.client(
                service, region_name=region, endpoint_url=self._endpoint_url, config=config
            )
        except UnknownServiceError as error:
            raise AwsError(
                "UnknownService",
                f"botocore {botocore.__version__} does not know the service {service}",
                advice="install a newer boto3, which brings a newer botocore",
            ) from error
        except Exception as error:  # one of the many settings that botocore reads from the profile
            raise explained(error, self._session.profile_name) from error
