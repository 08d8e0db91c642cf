"""Who lists sessions need not ask a daemon what they do whose link knows that they do nothing, and never wrongly."""

import http.client
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocattach.link.client.queries import daemon_of_link
from ocattach.link.sessions import idle as stillness
from ocattach.opencode.catalogue import DIRECTORIES
from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.waiting import wait_until
from tests.sessions.catalogue import listed, make
from tests.sessions.test_event_listener import World, machine_with_daemon, world
from tests.sessions.test_every_transport import activity

__all__ = ["machine_with_daemon", "world"]


def works(world: World) -> bool:
    """Whether the daemon itself says that something is being done."""
    return bool(world.request("GET", f"/session/status?directory={world.workdir}"))


def begin(world: World, text: str) -> None:
    """A prompt in a new session, past the link."""
    body = {"parts": [{"type": "text", "text": text}]}
    session = world.make(metadata={"origin": "elsewhere"})  # it is not written to, which would be an event
    world.request("POST", f"/session/{session}/prompt_async", body)


def test_a_link_knows_it_of_a_daemon_that_does_nothing_and_doubts_it_while_something_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stillness, "PAUSE_SECONDS", 0.1)
    world.make(metadata={"origin": "elsewhere"})
    link = world.link()
    wait_until(link.watcher.idle_directories, "it to be known")
    begin(world, "!slow 6")
    wait_until(lambda: works(world), "work to begin")

    seen = 0
    while works(world):
        is_still = world.workdir in link.watcher.idle_directories()
        seen += works(world)  # before and after
        assert not (is_still and works(world))
    assert seen
    wait_until(link.watcher.idle_directories, "it to be known again")


def test_nothing_is_known_while_nobody_listens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stillness, "PAUSE_SECONDS", 0.1)
    world.make(metadata={"origin": "elsewhere"})
    link = world.link()
    wait_until(link.watcher.idle_directories, "it to be known")

    with link.gap():
        wait_until(lambda: not link.watcher.idle_directories(), "the loss to be noticed")
        begin(world, "!slow 3")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        is_still = world.workdir in link.watcher.idle_directories()
        assert not (is_still and works(world))
    wait_until(link.watcher.idle_directories, "it to be known again")


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_what_begins_after_that_is_listed_as_busy(environment: Environment, laptop: Laptop) -> None:
    daemon = laptop.connect()
    session = make(daemon, environment.workdir)
    key = environment.spec().pinned(laptop.variables).link_key(laptop.variables)

    def is_still() -> bool:
        linked = daemon_of_link(key, laptop.variables, timeout=5)
        return linked is not None and environment.workdir in linked.idle_directories

    wait_until(is_still, "the link to know it", timeout=30)
    assert activity(laptop, session) == "idle"
    daemon.request(
        "POST", f"/session/{session}/prompt_async", {"parts": [{"type": "text", "text": "!slow 30"}]}
    )
    where = f"/session/status?directory={environment.workdir}"
    wait_until(lambda: session in daemon.request("GET", where)[1], "work to begin")

    assert activity(laptop, session) == "busy"


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_what_hangs_since_before_the_link_where_nobody_looked_is_not_said_to_do_nothing(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    directories = [f"{environment.workdir}/{number}" for number in range(DIRECTORIES + 1)]
    for directory in directories:  # a run in one that is missing can fail (1.18.33)
        Path(directory).mkdir()
    hanging = make(daemon, directories[0])
    body = {"parts": [{"type": "text", "text": "!hang"}]}
    status, answer = daemon.request("POST", f"/session/{hanging}/prompt_async", body)
    assert status == http.client.NO_CONTENT, answer
    where = f"/session/status?directory={directories[0]}"
    wait_until(lambda: hanging in daemon.request("GET", where)[1], "work to begin")
    wait_until(lambda: environment.model.requests, "the model to be asked")
    latest = [make(daemon, directory) for directory in directories[1:]][-1]
    laptop.run("--disconnect", "frontend")

    again = laptop.connect()
    key = environment.spec().pinned(laptop.variables).link_key(laptop.variables)

    def still() -> Sequence[str]:
        linked = daemon_of_link(key, laptop.variables, timeout=5)
        return linked.idle_directories if linked else ()

    wait_until(lambda: directories[-1] in still(), "the link to know something", timeout=30)
    found = {session["id"]: session["state"] for session in listed(laptop)["sessions"]}
    assert (found[latest], found[hanging]) == ("idle", None)
    again.request("POST", f"/session/{hanging}/abort")
