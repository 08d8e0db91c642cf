"""Sessions of old daemons are listed too, each with the origin that its directory gives it."""

import pytest

from tests.sessions.catalogue import listed, make
from tests.versions.conftest import MakeLaptop


@pytest.mark.parametrize("version", ["1.1.65", "1.14.41"])
def test_sessions_of_an_old_daemon_are_listed_counted_and_remembered(
    laptop_with: MakeLaptop, version: str
) -> None:
    laptop = laptop_with(daemon=version)
    daemon = laptop.connect()
    root = make(daemon, laptop.environment.workdir, title="a root", metadata={"origin": "somebody"})
    make(daemon, laptop.environment.workdir, title="a child", parentID=root)

    (session,) = listed(laptop)["sessions"]
    assert (session["id"], session["origin"], session["live"]) == (root, "frontend", True)
    assert listed(laptop, "--search", "child")["sessions"] == []
    (state,) = laptop.run("--status", "frontend", "-o", "json").document["environments"]
    assert state["sessions"]["count"] == 1

    laptop.run("--stop", "frontend")
    (session,) = listed(laptop)["sessions"]
    has_database = version != "1.1.65"  # it can be read without a daemon
    assert (session["id"], session["live"]) == (root, has_database)
