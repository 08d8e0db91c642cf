"""The default: where `ocattach` without a name goes."""

import json
import os
from pathlib import Path

import pytest

from ocattach.config.changes import remove_connection, rename_connection, set_default
from ocattach.config.default import Default, find_default
from ocattach.config.resolver import list_connections
from ocattach.config.settings import load_settings
from ocattach.errors import ConfigurationError, ConnectionNotFoundError, UsageError
from tests.config.conftest import Desk

WEB = {"transport": "docker", "container": "www"}
SETTINGS = "# mine\nhold_seconds: 60  # a minute\n"


def default(desk: Desk, cwd: Path | None = None) -> Default | None:
    cwd = cwd or desk.project
    return find_default(list_connections(cwd=cwd, environ=desk.environ), cwd=cwd, environ=desk.environ)


def choose(desk: Desk, name: str | None) -> None:
    set_default(name, cwd=desk.project, environ=desk.environ)


def define(desk: Desk, name: object, path: str = ".opencode/ocattach.json", **environments: object) -> Path:
    file = desk.define({}, path)
    file.write_text(json.dumps({"default": name, "environments": environments}))
    return file


def test_the_only_connection_is_the_default(desk: Desk) -> None:
    assert default(desk) is None
    desk.save("www", "docker://www")

    assert default(desk) == Default("www")

    desk.define({"api": WEB})
    assert default(desk) is None


def test_a_connection_beside_one_that_cannot_be_read_is_not_the_only_one(desk: Desk) -> None:
    desk.save("www", "docker://www")
    desk.save("api", "docker://api")
    desk.saved.path("api").write_text("[")

    assert default(desk) is None


def test_the_users_own_default_comes_before_the_projects(desk: Desk) -> None:
    file = define(desk, "api", api=WEB, other=WEB)
    assert default(desk) == Default("api", file)

    desk.save("www", "docker://www")
    choose(desk, "www")
    found = default(desk)

    assert found is not None
    assert found.name == "www"
    assert found.path == desk.home / "config/config.yaml"


def test_this_machine_can_be_the_default(desk: Desk) -> None:
    desk.save("www", "docker://www")
    choose(desk, "local")

    found = default(desk)
    assert found is not None
    assert found.name == "local"


def test_the_nearest_default_counts(desk: Desk) -> None:
    define(desk, "www", "opencode.json", www=WEB, api=WEB)
    inner = define(desk, "api", "inner/.opencode/ocattach.json")

    assert default(desk, desk.project / "inner") == Default("api", inner)


def test_opencodes_file_may_have_it_among_what_every_version_tolerates(desk: Desk) -> None:
    file = desk.define({})
    file.write_text(
        json.dumps({"experimental": {"default": "www", "environments": {"www": WEB, "api": WEB}}})
    )

    assert default(desk) == Default("www", file)


def test_a_project_cannot_choose_among_the_users_own_connections(desk: Desk) -> None:
    desk.save("prod", "docker://prod")
    define(desk, "prod", www=WEB)

    with pytest.raises(ConfigurationError, match="no environment named 'prod' is defined here"):
        default(desk)

    file = define(desk, "prod", prod=WEB)
    assert default(desk) == Default("prod", file, is_hidden=True)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("ww", "ocattach.json:1: default: no environment named 'ww' is defined here", "Did you mean www?"),
        ("local", "no environment named 'local' is defined here", "Known: www"),
        ("docker://x", "no environment named 'docker://x' is defined here", "Known: www"),
        ("\x1b[2J", r"no environment named '\x1b[2J' is defined here", "Known: www"),
        ("w" * 5000, "no environment named 'wwww", ""),
        (["www"], "default must be text, not a list", ""),
        (True, "default must be text, not true or false", ""),
        ("", "no environment named '' is defined here", "Known: www"),
    ],
)
def test_a_default_that_names_nothing_is_an_error_with_its_line(
    desk: Desk, name: object, message: str, hint: str
) -> None:
    define(desk, name, www=WEB)

    with pytest.raises(ConfigurationError) as raised:
        default(desk)

    assert message in raised.value.message
    assert len(raised.value.message) < 1100
    assert hint in raised.value.hint
    assert desk.resolve("www").name == "www"  # others are not affected


def test_a_default_that_names_an_invalid_definition_is_that_error(desk: Desk) -> None:
    define(desk, "www", www={"transport": "docker", "contianer": "www"}, api=WEB)

    with pytest.raises(ConfigurationError, match="contianer"):
        default(desk)


def test_a_file_that_cannot_be_used_leaves_the_choice_to_the_user(desk: Desk) -> None:
    define(desk, "www", "opencode.json", www=WEB, api=WEB)
    nearer = desk.define({}, "inner/opencode.json")
    nearer.write_text("{")
    assert default(desk, nearer.parent) is None

    define(desk, "api", "inner/opencode.json")
    nearer.chmod(0o666)
    assert default(desk, nearer.parent) is None
    assert default(desk) is not None


def test_the_default_is_one_of_the_users_own_connections(desk: Desk) -> None:
    desk.save("frontend", "docker://www")
    desk.define({"api": WEB})

    with pytest.raises(ConnectionNotFoundError, match="No saved connection named fronted"):
        choose(desk, "fronted")
    with pytest.raises(UsageError, match=r"api is not a saved connection: it is defined by .*opencode\.json"):
        choose(desk, "api")
    with pytest.raises(UsageError, match="Invalid connection name"):
        choose(desk, "docker://www")


def test_settings_and_comments_stay_and_so_does_a_symbolic_link(desk: Desk) -> None:
    file = desk.home / "dotfiles" / "ocattach.yaml"
    file.parent.mkdir()
    file.write_text(SETTINGS)
    (desk.home / "config").mkdir()
    settings = desk.home / "config/config.yaml"
    settings.symlink_to(file)
    desk.save("www", "docker://www")

    choose(desk, "www")
    assert file.read_text() == f"{SETTINGS}default: www\n"
    assert load_settings(desk.home / "config").hold_seconds == 60

    choose(desk, None)
    assert file.read_text() == SETTINGS
    assert settings.is_symlink()


def test_no_file_is_made_to_unset_what_was_not_set(desk: Desk) -> None:
    choose(desk, None)

    assert not (desk.home / "config/config.yaml").exists()


def test_settings_that_cannot_be_read_are_not_overwritten(desk: Desk) -> None:
    desk.save("www", "docker://www")
    settings = desk.home / "config/config.yaml"
    settings.write_text("hold_secs: 3\n")

    with pytest.raises(ConfigurationError):
        choose(desk, "www")

    assert settings.read_text() == "hold_secs: 3\n"
    rename_connection("www", "shop", cwd=desk.project, environ=desk.environ)
    remove_connection("shop", cwd=desk.project, environ=desk.environ)


def test_a_default_goes_with_its_connection(desk: Desk) -> None:
    desk.save("www", "docker://www")
    choose(desk, "www")

    rename_connection("www", "007", cwd=desk.project, environ=desk.environ)
    assert load_settings(desk.home / "config").default == "007"

    assert remove_connection("007", cwd=desk.project, environ=desk.environ)
    assert load_settings(desk.home / "config").default is None


def test_a_default_whose_connection_is_gone_does_not_lead_to_the_projects(desk: Desk) -> None:
    desk.save("www", "docker://www")
    choose(desk, "www")
    os.unlink(desk.saved.path("www"))  # noqa: PTH108 - as by hand
    desk.define({"www": WEB})

    with pytest.raises(ConfigurationError, match="default: no saved connection named www") as raised:
        default(desk)

    assert "ocattach --default ''" in raised.value.hint
