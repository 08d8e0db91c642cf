"""Dev containers and bare URIs in a project's file: which folder is meant, and what is shown before it is used."""

import json
from pathlib import Path

import pytest

from ocattach.cli.approval import consequences
from ocattach.config.project import find_in_project
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import DockerTarget
from ocattach.config.trust import digest
from ocattach.errors import UsageError
from tests.config.conftest import Desk
from tests.config.test_project import FILES, problems
from tests.config.test_schema import validates

DEV = {"transport": "docker", "devcontainer": "."}
CONFIGURATION = """{ // as the tools write it
    "remoteEnv": {"TOKEN": "${localEnv:DC_TOKEN}", "PATH": "${containerEnv:PATH}:${localEnv:DC_BIN:/opt}", "X": 1},
}"""


def definition(desk: Desk, entry: object, path: str = "opencode.json") -> ConnectionSpec:
    desk.define({"front": entry}, path)
    spec = find_in_project("front", desk.project)
    assert spec is not None
    return spec


def folder_of(spec: ConnectionSpec) -> str | None:
    assert isinstance(spec.target, DockerTarget)
    return spec.target.devcontainer


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("written", [".", "www", "../other", "/src/shop"])
def test_a_folder_is_relative_to_the_project_from_wherever_it_is_used(
    desk: Desk, file: str, written: str
) -> None:
    below = desk.project / "deep" / "below"
    below.mkdir(parents=True)
    spec = definition(desk, {**DEV, "devcontainer": written}, file)

    assert folder_of(spec) == str((desk.project / written).resolve())
    assert desk.resolve("front", cwd=below) == spec


def test_a_folder_that_is_typed_or_saved_is_relative_to_where_that_is_done(desk: Desk) -> None:
    typed = desk.resolve("docker://devcontainer/./www", cwd=desk.project)
    assert folder_of(typed) == str(desk.project / "www")

    desk.saved.save("mine", typed)
    assert desk.load("mine").target == typed.target


def test_the_same_definition_in_another_checkout_has_the_same_hash(desk: Desk, tmp_path: Path) -> None:
    elsewhere = Desk(desk.home, tmp_path / "elsewhere")
    (elsewhere.project / ".git").mkdir(parents=True)

    assert digest(definition(desk, DEV)) == digest(definition(elsewhere, DEV))
    assert digest(definition(desk, DEV)) != digest(definition(desk, {**DEV, "devcontainer": "www"}))


@pytest.mark.parametrize(
    "place", [".devcontainer.json", ".devcontainer/devcontainer.json", ".devcontainer/go/devcontainer.json"]
)
def test_the_variables_that_it_would_be_handed_are_shown_and_a_change_is_asked_about(
    desk: Desk, place: str
) -> None:
    before = definition(desk, DEV)
    file = desk.project / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(CONFIGURATION)
    after = definition(desk, DEV)

    assert not any("pass the values" in line for line in consequences(before, {}))
    assert (
        "pass the values of your variables to its daemon: DC_BIN, DC_TOKEN (1 of them currently not set)"
        in (consequences(after, {"DC_BIN": "/bin"}))
    )
    assert digest(before) != digest(after)
    assert before.link_key({}) == after.link_key({})
    assert json.loads(after.source.definition)["local_env"] == ["DC_BIN", "DC_TOKEN"]


@pytest.mark.parametrize("content", ["{", "[" * 100_000, "[]", '{"remoteEnv": 1}', "\xff", None])
def test_a_configuration_that_cannot_be_read_uses_no_variables(desk: Desk, content: str | None) -> None:
    file = desk.project / ".devcontainer.json"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content, encoding="latin-1")

    assert "local_env" not in definition(desk, DEV).to_entry()


def test_a_project_cannot_name_the_variables_itself(desk: Desk) -> None:
    desk.define({"front": {**DEV, "local_env": ["AWS_SECRET_ACCESS_KEY"]}})

    assert "local_env cannot be set in a project file" in problems(desk.project)[0].error.message


@pytest.mark.parametrize(
    ("uri", "entry"),
    [
        ("docker://www:/app", {"transport": "docker", "container": "www", "workdir": "/app"}),
        ("docker://devcontainer/.", DEV),
        ("ssh://me@host/srv", {"transport": "ssh", "host": "host", "user": "me", "workdir": "/srv"}),
    ],
)
def test_an_environment_may_be_its_uri_alone(desk: Desk, uri: str, entry: dict[str, object]) -> None:
    assert definition(desk, uri) == definition(desk, entry)
    assert validates(uri)
    assert not validates("frontend-app")


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("docker://a b", "front: "),
        ("foo://x", "Unknown transport"),
        ("frontend-app", "must be an object, not text"),
        ("ssh://h?identity_file=~/.ssh/id", "identity_file cannot be set in a project file"),
    ],
)
def test_a_uri_is_checked_as_an_entry_is(desk: Desk, uri: str, part: str) -> None:
    desk.define({"front": uri})

    message = problems(desk.project)[0].error.message
    assert part in message
    assert message.startswith(f"{desk.project}/opencode.json:1: environments: front: ")


@pytest.mark.parametrize(
    "entry",
    [
        {"devcontainer": ".", "container": "www"},
        {"devcontainer": ""},
        {"devcontainer": "-x"},
        {"devcontainer": ["."]},
        {"devcontainer": ".", "local_env": ["A-B"]},
    ],
)
def test_what_cannot_be_meant_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ConnectionSpec.from_entry({"transport": "docker", **entry})
