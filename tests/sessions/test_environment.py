"""The names that sessions carry: of their environment, and of where they began."""

from collections.abc import Sequence

import pytest

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.config.targets.uri import parse_uri
from ocattach.sessions.origins import origin_for


def connection(uri: str, name: str | None = None, workdir: str | None = None) -> ConnectionSpec:
    parsed = parse_uri(uri)
    return ConnectionSpec(target=parsed.target, workdir=workdir or parsed.workdir, name=name)


FRONTEND = connection("docker://app:/srv", "frontend")
API = connection("docker://app:/srv/api", "api")
ANYWHERE = connection("docker://app", "app")
UNNAMED = connection("docker://app:/srv/api")


@pytest.mark.parametrize(
    ("directory", "connections", "origin"),
    [
        ("/srv", [API, FRONTEND], "frontend"),
        ("/srv/api", [FRONTEND, API], "api"),
        ("/srv/api/v1", [FRONTEND, API], "api"),
        ("/srv/apidocs", [API, FRONTEND], "frontend"),
        ("/srv/api", [UNNAMED, API], "api"),
        ("/srv/api", [connection("docker://app:/srv/api/", "slash")], "slash"),
        ("/elsewhere", [API, ANYWHERE, FRONTEND], "app"),
        ("/elsewhere", [UNNAMED, API, FRONTEND], "api"),
        ("/elsewhere", [UNNAMED], "docker://app"),
    ],
)
def test_a_session_began_at_the_name_whose_workdir_holds_it_the_longest_first(
    directory: str, connections: Sequence[ConnectionSpec], origin: str
) -> None:
    assert origin_for(directory, connections) == origin


def test_what_is_below_home_has_no_connection_of_its_own() -> None:
    code = connection("docker://app", "code", "~/code")

    assert origin_for("/home/me/code", [code, ANYWHERE]) == "app"


def test_an_environment_keeps_its_id_under_another_name_and_in_another_directory() -> None:
    ids = {environment_id(spec, {}) for spec in (FRONTEND, API, UNNAMED, ANYWHERE)}

    assert len(ids) == 1
    assert ids != {environment_id(connection("docker://other"), {})}
    elsewhere = FRONTEND.pinned({"DOCKER_HOST": "tcp://elsewhere:2375"})
    assert ids != {environment_id(elsewhere, {})}
