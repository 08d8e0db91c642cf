import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocattach.config.changes import remove_connection
from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import Problem
from ocattach.config.last_used import record_use
from ocattach.config.project import project_definitions
from ocattach.config.resolver import list_connections
from ocattach.errors import ConfigurationError, ConnectionNotFoundError, InvalidURIError, UsageError
from tests.config.conftest import Desk

WEB = {"transport": "docker", "container": "www"}


def test_a_uri_is_used_as_it_is_typed(desk: Desk) -> None:
    spec = desk.resolve("docker://frontend-app:/app")

    assert (spec.name, spec.source.kind, spec.display()) == (None, "typed", "docker://frontend-app:/app")


def test_a_bad_uri_is_no_missing_connection(desk: Desk) -> None:
    with pytest.raises(InvalidURIError):
        desk.resolve("dcoker://c")


def test_what_the_user_saved_counts_more_than_the_project(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.define({"www": WEB})

    spec = desk.resolve("www")

    assert (spec.display(), spec.source.kind) == ("docker://mine", "user")


def test_what_is_not_saved_is_looked_for_in_the_project(desk: Desk) -> None:
    desk.save("other", "docker://mine")
    desk.define({"www": WEB})

    spec = desk.resolve("www")

    assert (spec.display(), spec.source.kind) == ("docker://www", "project")


def test_local_is_this_machine_unless_the_user_has_named_something_so(desk: Desk) -> None:
    desk.define({"local": WEB})

    assert (desk.resolve("local").name, desk.resolve("local").display()) == ("local", "local://")
    (item,) = project_definitions(desk.project)
    assert isinstance(item, Problem)
    assert "'local' is reserved for this machine" in item.error.message

    desk.save("local", "docker://mine")

    assert desk.resolve("local").display() == "docker://mine"


def test_a_saved_name_does_not_need_a_readable_project(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.define({}).write_text("{")

    assert desk.resolve("www").display() == "docker://mine"


def test_a_saved_name_is_found_without_a_working_directory(desk: Desk) -> None:
    desk.save("www", "docker://mine")

    assert desk.resolve("www", cwd=desk.project / "deleted").display() == "docker://mine"


def test_a_damaged_saved_connection_does_not_send_one_to_the_projects(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.saved.path("www").write_text("[")
    desk.define({"www": WEB})

    with pytest.raises(ConfigurationError, match=r"www\.yaml"):
        desk.resolve("www")


def test_an_unknown_name_is_met_with_near_names_of_both_kinds(desk: Desk) -> None:
    desk.save("frontend", "docker://a")
    desk.define({"frontends": WEB, "api": WEB})

    with pytest.raises(ConnectionNotFoundError) as raised:
        desk.resolve("fronted")

    assert raised.value.message == "No connection named fronted"
    assert "frontend or frontends" in raised.value.hint
    assert "ocattach --list" in raised.value.hint
    assert "api" not in raised.value.hint


def test_case_counts_and_is_no_reason_to_leave_one_in_the_dark(desk: Desk) -> None:
    desk.save("Frontend", "docker://a")

    with pytest.raises(ConnectionNotFoundError) as raised:
        desk.resolve("frontend")

    assert "Frontend" in raised.value.hint


@pytest.mark.parametrize("argument", ["", "docker:w w w", "a b", "-x", "www/"])
def test_what_is_neither_name_nor_uri_is_told_what_a_uri_looks_like(desk: Desk, argument: str) -> None:
    with pytest.raises(UsageError, match="neither") as raised:
        desk.resolve(argument)

    assert "docker://" in raised.value.hint


def test_the_list_has_everything_by_name_and_what_it_hides(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.save("zoo", "local://")
    desk.define({"www": WEB, "api": WEB})
    desk.define({"www": WEB}, "inner/opencode.json")

    listing = list_connections(cwd=desk.project / "inner", environ=desk.environ)

    assert [listed.spec.name for listed in listing.connections] == ["api", "www", "zoo"]
    assert [len(listed.hides) for listed in listing.connections] == [0, 2, 0]
    www = listing.connections[1]
    assert www.spec.source.kind == "user"
    assert [hidden.source.path for hidden in www.hides] == [
        desk.project / "inner/opencode.json",
        desk.project / "opencode.json",
    ]
    assert listing.problems == ()


def test_the_list_has_the_good_ones_and_names_the_bad_ones(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.save("broken", "docker://mine")
    desk.saved.path("broken").write_text("[")
    desk.define({"bad": {}, "api": WEB, "broken": WEB})

    listing = list_connections(cwd=desk.project, environ=desk.environ)

    assert [listed.spec.name for listed in listing.connections] == ["api", "www"]
    assert [problem.name for problem in listing.problems] == ["broken", "bad"]


def test_the_list_says_when_a_connection_was_last_used(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.save("api", "docker://mine")
    state = state_directory(desk.environ)
    record_use("www", state)
    os.utime(state / "used/www", (1_700_000_000, 1_700_000_000))

    listing = list_connections(cwd=desk.project, environ=desk.environ)

    assert [(listed.spec.name, listed.last_used) for listed in listing.connections] == [
        ("api", None),
        ("www", 1_700_000_000),
    ]


def test_a_use_that_cannot_be_remembered_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "used").write_text("in the way")

    record_use("www", tmp_path)
    record_use("../escape", tmp_path / "state")

    assert not (tmp_path / "state").exists()


def test_a_second_use_is_later(tmp_path: Path) -> None:
    record_use("www", tmp_path)
    os.utime(tmp_path / "used/www", (1, 1))

    record_use("www", tmp_path)

    assert (tmp_path / "used/www").stat().st_mtime > 1


def test_removing_names_the_place_of_what_a_project_defines(desk: Desk) -> None:
    path = desk.define({"www": WEB})

    with pytest.raises(UsageError, match="www is not a saved") as raised:
        remove_connection("www", cwd=desk.project, environ=desk.environ)

    assert str(path) in raised.value.message
    assert path.exists()


def test_removing_a_saved_connection_uncovers_the_projects(desk: Desk) -> None:
    desk.save("www", "docker://mine")
    desk.define({"www": WEB})

    remove_connection("www", cwd=desk.project, environ=desk.environ)

    assert desk.resolve("www").source.kind == "project"


def test_removing_what_is_nowhere_is_no_success(desk: Desk) -> None:
    with pytest.raises(ConnectionNotFoundError):
        remove_connection("www", cwd=desk.project, environ=desk.environ)


WARM = """
import os, sys
from pathlib import Path
from ocattach.config.resolver import resolve
spec = resolve("www", cwd=Path.cwd(), environ=os.environ)
spec.link_key(), spec.display(), spec.to_json()
print(*sys.modules)
"""


def test_a_saved_name_is_found_without_slow_imports(desk: Desk) -> None:
    desk.save("www", "ssh://deploy@staging.example.com:2222/var/www/app")

    run = subprocess.run(
        [sys.executable, "-c", WARM], env=desk.environ, check=True, capture_output=True, text=True, timeout=30
    )

    slow = {
        "yaml", "json5", "filelock", "platformdirs", "difflib", "importlib.metadata", "tempfile", "asyncio",
        "ocattach.config.project", "ocattach.config.trust", "ocattach.config.files.ownership",
        "ocattach.config.targets.http", "ocattach.config.targets.container",
    }  # fmt: skip
    assert slow.isdisjoint(run.stdout.split())
