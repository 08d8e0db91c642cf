"""A container that cannot be worked in is told as what it is, with the next command in its engine's own words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker.models.containers import Container

from ocattach.errors import EnvironmentNotFoundError, EnvironmentNotRunningError, ShellNotFoundError
from ocattach.transports.containers.state import STATES, check_running, check_steady
from tests.containers.conftest import Place
from tests.rigs.waiting import wait_until


@contextmanager
def made(place: Place, name: str, *command: str, **settings: Any) -> Iterator[Container]:
    """A container that was made and not started."""
    container = place.engine.client.containers.create(
        place.engine.load("bare"),
        list(command),
        name=name,
        network_mode="none",
        cgroup_parent=place.engine.cgroup_parent,
        **settings,
    )
    try:
        yield container
    finally:
        wait_until(lambda: is_removed(container), "the container to be removed")


def is_removed(container: Container) -> bool:
    """Whether it could be: podman cannot while it restarts the container."""
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    try:
        container.remove(force=True)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def refusal(place: Place, name: str) -> EnvironmentNotRunningError:
    """What is said of the container when it is looked at; what is said when a command is tried is the same."""
    with place.handler(name) as handler:
        with pytest.raises(EnvironmentNotRunningError) as looked_at:
            handler.check_available()
        with pytest.raises(EnvironmentNotRunningError) as tried:
            handler.run(["true"], timeout=10)
    assert str(looked_at.value) == str(tried.value)
    assert looked_at.value.hint == tried.value.hint
    return looked_at.value


def test_a_container_that_was_never_started(place: Place) -> None:
    with made(place, "new-app", "sleep", "1000"):
        error = refusal(place, "new-app")

    assert "never started" in error.message
    assert error.hint == f"Try: {place.scheme} start new-app"


def test_a_container_that_has_ended(place: Place) -> None:
    with made(place, "old-app", "sh", "-c", "exit 3") as container:
        container.start()
        container.wait()
        error = refusal(place, "old-app")

    assert "exited with code 3" in error.message
    assert error.hint == f"Try: {place.scheme} start old-app"


def test_a_paused_container(place: Place) -> None:
    with place.engine.container("still-app", opencode=False) as rig:
        rig.container.pause()
        try:
            error = refusal(place, "still-app")
        finally:
            rig.container.unpause()

    assert "paused" in error.message
    assert error.hint == f"Try: {place.scheme} unpause still-app"


def test_a_container_that_its_engine_restarts_for_ever(place: Place) -> None:
    with made(
        place, "loop-app", "sh", "-c", "sleep 0.1; exit 9", restart_policy={"Name": "always"}
    ) as container:
        container.start()
        wait_until(lambda: restarts(container) > 3, "some restarts", timeout=30)

        def is_told() -> EnvironmentNotRunningError | None:
            # Between its ends it runs: what is begun then is cut off, or goes well when it is quick.
            with place.handler("loop-app") as handler:
                try:
                    handler.check_available()
                    handler.probe()
                except EnvironmentNotRunningError as error:
                    return error
            return None

        error = wait_until(is_told, "it to be told", timeout=30)

    assert "keeps exiting" in error.message
    assert error.hint == f"Try: {place.scheme} logs loop-app"


def restarts(container: Container) -> int:
    container.reload()
    return int(container.attrs["RestartCount"])


def test_a_container_without_a_shell(place: Place) -> None:
    with place.engine.container("bare-app", variant="pause") as rig, place.handler(rig.name) as handler:
        handler.check_available()
        with pytest.raises(ShellNotFoundError, match="No shell") as caught:
            handler.check_daemon_running()

    assert "bare-app" in caught.value.message
    assert "busybox" in caught.value.hint


def test_a_container_that_is_not_there(place: Place) -> None:
    with place.engine.container("web-app", opencode=False), place.handler("wep-app") as handler:
        with pytest.raises(EnvironmentNotFoundError, match="wep-app") as caught:
            handler.check_available()
        with pytest.raises(EnvironmentNotFoundError, match="wep-app"):
            handler.run(["true"], timeout=10)

    assert caught.value.hint == "Did you mean web-app?"


def test_nothing_like_it_is_there(place: Place) -> None:
    with place.handler("zzz-zzz") as handler, pytest.raises(EnvironmentNotFoundError) as caught:
        handler.check_available()

    assert caught.value.hint == f"List the containers: {place.scheme} ps --all"


def test_a_container_removed_while_it_was_used(place: Place) -> None:
    with place.engine.container("gone-app", opencode=False) as rig, place.handler(rig.name) as handler:
        assert handler.run(["echo", "here"], timeout=60).stdout == b"here\n"
        rig.remove()
        with pytest.raises(EnvironmentNotFoundError, match="gone-app"):
            handler.run(["true"], timeout=10)


@pytest.mark.parametrize("status", sorted(STATES))
def test_every_state_has_words_and_a_step_of_its_own(status: str) -> None:
    with pytest.raises(EnvironmentNotRunningError) as caught:
        check_running(looked_at(status), program="podman")

    assert caught.value.message.startswith("Container web is not running: it ")
    assert caught.value.hint.startswith("Try: podman ")
    assert not any(brace in str(caught.value) + caught.value.hint for brace in "{}")


def test_a_state_of_tomorrow_is_told_by_its_name() -> None:
    with pytest.raises(EnvironmentNotRunningError, match="it is frozen"):
        check_running(looked_at("frozen"), program="docker")


def test_restarts_of_long_ago_are_no_reason_for_todays_failure() -> None:
    container = looked_at("running", restarts=4)

    check_steady(container, since="today", program="docker")
    with pytest.raises(EnvironmentNotRunningError, match="keeps exiting"):
        check_steady(container, since="yesterday", program="docker")


def looked_at(status: str, *, restarts: int = 0) -> dict[str, object]:
    """What an engine says of a container, as far as it matters."""
    return {
        "Name": "/web",
        "RestartCount": restarts,
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "State": {"Status": status, "ExitCode": 1, "StartedAt": "today"},
    }
