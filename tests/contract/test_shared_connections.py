"""Several handlers over one connection to an engine, host or cluster."""

import threading

import pytest

from tests.environments import Environment
from tests.rigs.waiting import wait_until


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: nothing is left behind here."""
    return shared_environment


def test_the_same_connection_has_the_same_way_and_sharing_it_outlives_the_guest(
    environment: Environment,
) -> None:
    with environment.handler() as owner, environment.handler(daemon_port=4123) as guest:
        assert owner.connection_key() == guest.connection_key()
        if owner.connection_key() is None:
            with pytest.raises(TypeError):
                guest.share(owner)
            return
        is_ssh = environment.entry["transport"] == "ssh"  # of a container, commands are counted
        before = environment.connections()
        owner.open_connection()
        if is_ssh:
            wait_until(lambda: environment.connections() > before, "sshd to write down the log-in")
        connected = environment.connections()
        guest.share(owner)
        assert guest.run(["echo", "through it"], timeout=60).stdout == b"through it\n"
        if is_ssh:
            assert environment.connections() == connected
        guest.disconnect()
        guest.disconnect()
        assert owner.run(["echo", "still there"], timeout=60).stdout == b"still there\n"


def test_several_threads_may_use_one_way_at_once(environment: Environment) -> None:
    said: list[bytes] = []
    with environment.handler() as owner:
        if owner.connection_key() is None:  # see above
            return
        owner.open_connection()

        def greet(number: int) -> None:
            with environment.handler() as guest:
                guest.share(owner)
                said.append(guest.run(["echo", str(number)], timeout=20).stdout)

        threads = [threading.Thread(target=greet, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(said) == [f"{number}\n".encode() for number in range(6)]
