"""Work in a container as the account that the connection names."""

import pytest

from ocattach.errors import AuthenticationError
from tests.containers.conftest import Place
from tests.rigs.images import HOMES, USER, USER_ID


@pytest.mark.parametrize("name", [USER, str(USER_ID), f"{USER_ID}:{USER_ID}"])
def test_commands_run_as_the_account_in_its_home(place: Place, name: str) -> None:
    with place.engine.container("users-app") as rig, place.handler(rig.name, user=name) as handler:
        ran = handler.run(["sh", "-c", 'id -u; echo "$HOME"'], timeout=60)

    assert ran.stdout.decode().split() == [str(USER_ID), HOMES[USER]]


def test_each_account_has_a_daemon_of_its_own(place: Place) -> None:
    with (
        place.engine.container("users-app") as rig,
        place.handler(rig.name, user=USER) as users,
        place.handler(rig.name) as roots,
    ):
        started = users.start_daemon()
        assert started.daemon is not None
        assert not roots.check_daemon_running().running

        owner = rig.run("stat", "-c", "%u", f"/proc/{started.daemon.pid}").stdout.strip()
        assert owner == str(USER_ID)
        assert rig.path(f"{HOMES[USER]}/.local/state/ocattach").is_dir()


def test_an_account_that_the_container_does_not_have(place: Place) -> None:
    with (
        place.engine.container("users-app") as rig,
        place.handler(rig.name, user="nobody-here") as handler,
        pytest.raises(AuthenticationError, match="No user nobody-here in container users-app") as caught,
    ):
        handler.check_daemon_running()

    assert f"{place.scheme} exec users-app cat /etc/passwd" in caught.value.hint
