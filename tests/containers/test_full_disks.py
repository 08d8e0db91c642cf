"""Too little disk, memory or processes: it is named, where OpenCode itself says nothing, or something else."""

from typing import Any

import pytest

from ocattach.errors import ConnectionLostError, DaemonStartError
from tests.containers.conftest import Place
from tests.rigs.docker import DockerEngine


@pytest.fixture
def place(docker_engine: DockerEngine) -> Place:
    """Docker alone: the script is the same everywhere, and podman's tmpfs has no limit of inodes."""
    return Place("docker", docker_engine)


@pytest.mark.parametrize("options", ["size=16k", "size=1m", "size=1m,nr_inodes=3"])
def test_a_disk_without_room_for_a_daemon_is_said_to_be_full(place: Place, options: str) -> None:
    with (
        place.engine.container("full-app", tmpfs={"/data": options}) as rig,
        place.handler("full-app", env={"HOME": "/data"}) as handler,
    ):
        if options == "size=1m":
            rig.run("dd", "if=/dev/zero", "of=/data/mine", "bs=1024", "count=2000")
        with pytest.raises(DaemonStartError, match=r"the disk of /data\S* in .* is full") as caught:
            handler.start_daemon()

    assert "df -h /data" in caught.value.hint


def test_a_disk_with_room_is_not_blamed(place: Place) -> None:
    with (
        place.engine.container("rejected-app") as rig,
        place.handler("rejected-app", env={"HOME": "/data"}) as handler,
    ):
        rig.run("mkdir", "-p", "/data/.local/share/opencode/opencode.db")
        with pytest.raises(DaemonStartError, match="exited at once"):
            handler.start_daemon()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"mem_limit": "60m"}, "137.: it was killed"),
        # It may be our own script that gets no process, while those of the one before are still ending.
        ({"pids_limit": 6, "cpuset_cpus": "0"}, "13[34].: it aborted|temporarily unavailable|t fork|init-p"),
    ],
    ids=["memory", "processes"],
)
def test_a_limit_that_ends_a_daemon_at_once_is_suspected(
    place: Place, limit: dict[str, Any], words: str
) -> None:
    with (
        place.engine.container("limited-app", **limit),
        place.handler("limited-app") as handler,
        pytest.raises((DaemonStartError, ConnectionLostError), match=words) as caught,
    ):
        handler.start_daemon()

    assert "memory.max" in caught.value.hint
