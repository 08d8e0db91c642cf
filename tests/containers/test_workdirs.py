"""Where and with what work begins in a container: its WORKDIR, whatever became of that, and its variables."""

import pytest

from ocattach.errors import WorkdirNotFoundError
from tests.containers.conftest import Place


@pytest.mark.parametrize("gone", ["bind mount", "folder", "closed"])
def test_a_workdir_that_is_named_works_where_that_of_the_image_does_not(place: Place, gone: str) -> None:
    folder = place.engine.directory / "gone"
    folder.mkdir(exist_ok=True)
    mounts = {str(folder): {"bind": "/image", "mode": "rw"}} if gone == "bind mount" else {}
    with place.engine.container("moved-app", working_dir="/image", volumes=mounts) as rig:
        folder.rmdir()
        rig.run("sh", "-c", "rmdir /image; [ ! -d /image ] || chmod 0 /image", workdir="/")
        with place.handler("moved-app", workdir="/work", user="1000") as handler:
            rig.run("mkdir", "-p", "/work", workdir="/")

            assert not handler.check_daemon_running().running
            assert handler.workdir == "/work"


ODD = {"discovery.type": "single-node", "A-B": "x=1 'y'", "BASH_FUNC_hi%%": "() {  echo hi\n}"}


def test_a_daemon_has_the_workdir_and_all_variables_of_the_image(place: Place) -> None:
    variables = {**ODD, "OCATTACH_ODD": "$(touch /taken)"}
    with (
        place.engine.container("image-app", working_dir="/image", environment=variables) as rig,
        place.handler("image-app") as handler,
    ):
        started = handler.start_daemon()
        assert started.daemon is not None
        directory = rig.run("readlink", f"/proc/{started.daemon.pid}/cwd").stdout.strip()
        found = rig.run("cat", f"/proc/{started.daemon.pid}/environ").stdout.split("\0")
        assert not rig.path("/taken").exists()

    assert directory == "/image"
    assert {f"{name}={value}" for name, value in ODD.items()} <= {*found}


def test_an_image_whose_workdir_is_gone_is_not_taken_for_a_lost_connection(place: Place) -> None:
    with place.engine.container("moved-app", working_dir="/image") as rig:
        rig.run("rmdir", "/image", workdir="/")
        with (
            place.handler("moved-app") as handler,
            pytest.raises(WorkdirNotFoundError, match="/image cannot be entered"),
        ):
            handler.start_daemon()
