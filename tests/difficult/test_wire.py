"""The wire without troubles: it behaves as the local AWS."""

from __future__ import annotations

from tests.support.deployments import Service
from tests.support.picture import picture


def test_without_troubles_a_service_is_deployed_and_deleted(service: Service) -> None:
    empty = picture(service.account.aws())
    _, outputs = service.up()
    assert outputs["url"] and service.plan().is_empty
    assert picture(service.account.aws()) != empty
    service.down()
    assert picture(service.account.aws()) == empty
