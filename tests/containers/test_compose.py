"""A compose service by its project and name, whichever of its containers that is today."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from ocattach.errors import EnvironmentNotFoundError, EnvironmentNotRunningError
from ocattach.transports.containers.lookup import (
    NUMBER_LABEL,
    ONE_OFF_LABEL,
    PODMAN_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
)
from ocattach.transports.containers.transport import ContainerTransport
from tests.containers.conftest import Place
from tests.rigs.container import ContainerRig


@contextmanager
def service(place: Place, numbers: list[int]) -> Iterator[dict[int, ContainerRig]]:
    """Replicas of the service "api" in the project "shop", labelled as compose does."""
    with ExitStack() as stack:
        yield {
            number: stack.enter_context(replica(place, f"shop-api-{number}", number)) for number in numbers
        }


def replica(place: Place, name: str, number: int, **labels: str) -> AbstractContextManager[ContainerRig]:
    """A container of the service, which knows its number."""
    return place.engine.container(
        name,
        opencode=False,
        labels={PROJECT_LABEL: "shop", SERVICE_LABEL: "api", NUMBER_LABEL: str(number), **labels},
        environment={"REPLICA": str(number)},
    )


def of_service(place: Place, name: str = "api") -> ContainerTransport:
    return place.handler(compose={"project": "shop", "service": name})


def who(handler: ContainerTransport) -> str:
    """Which replica a command runs in."""
    return handler.run(["sh", "-c", 'echo "$REPLICA"'], timeout=60).stdout.decode().strip()


def test_the_only_container_of_a_service_is_it(place: Place) -> None:
    with service(place, [1]), of_service(place) as handler:
        assert handler.check_available().summary == "Container is running"
        assert who(handler) == "1"


def test_of_several_the_lowest_number_that_runs_is_taken_and_said(place: Place) -> None:
    with service(place, [10, 2, 1]) as replicas:
        replicas[1].container.stop(timeout=0)
        with of_service(place) as handler:
            said = handler.check_available().summary

            assert said == "Container shop-api-2 is running, one of 3 of service api"
            assert who(handler) == "2"

            replicas[1].container.start()
            assert who(handler) == "2"  # a link does not change its container


ONE_OFF = [
    ("shop-api-run-4f1d6a", {ONE_OFF_LABEL: "True"}),
    ("shop_api_tmp4711", {PODMAN_LABEL: "shop"}),
]


@pytest.mark.parametrize(("name", "labels"), ONE_OFF)
def test_a_container_of_compose_run_is_never_taken_for_the_service(
    place: Place, name: str, labels: dict[str, str]
) -> None:
    with replica(place, name, 0, **labels):
        with (
            of_service(place) as handler,
            pytest.raises(EnvironmentNotFoundError, match="no container for service api"),
        ):
            handler.check_available()

        with service(place, [1]) as replicas, of_service(place) as handler:
            assert handler.check_available().summary == "Container is running"
            assert who(handler) == "1"

            replicas[1].container.stop(timeout=0)
            with (
                of_service(place) as another,
                pytest.raises(EnvironmentNotRunningError, match="Container shop-api-1"),
            ):
                another.check_available()


def test_a_service_of_which_none_runs(place: Place) -> None:
    with service(place, [2, 1]) as replicas:
        for replica in replicas.values():
            replica.container.stop(timeout=0)
        with (
            of_service(place) as handler,
            pytest.raises(EnvironmentNotRunningError, match="shop-api-1") as caught,
        ):
            handler.check_available()

    assert caught.value.hint == f"Try: {place.scheme} start shop-api-1"


def test_a_service_that_is_not_there(place: Place) -> None:
    with (
        of_service(place, "apo") as handler,
        pytest.raises(EnvironmentNotFoundError, match="service apo of compose project shop") as caught,
    ):
        handler.check_available()

    assert caught.value.hint == f"Start one: {place.scheme} compose --project-name shop up --detach apo"
