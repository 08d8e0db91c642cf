"""The schema that editors complete by says what our own rules say."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ocattach.config.common_keys import COMMON_KEYS
from ocattach.config.files import jsonc
from ocattach.config.names import RESERVED_IN_PROJECTS
from ocattach.config.project import definition
from ocattach.config.schema import project_schema
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.registry import target_class, transports
from ocattach.errors import UsageError
from tests.config.strategies import specs
from tests.config.test_example import EXAMPLE

SCHEMA: dict[str, Any] = json.loads(json.dumps(project_schema()))
PARTS = SCHEMA["definitions"]

validator = jsonschema.Draft7Validator(SCHEMA)


def validates(entry: object, name: str = "www") -> bool:
    """Whether an editor is content."""
    return bool(validator.is_valid({"environments": {name: entry}}))


def parses(entry: object, name: str = "www") -> bool:
    """Whether ocattach is."""
    try:
        definition(name, entry, Path("/src/opencode.json"))
    except UsageError:
        return False
    return True


def shareable(spec: ConnectionSpec) -> dict[str, Any]:
    """The entry of a connection, as far as a project may have it."""
    entry = {key: value for key, value in spec.to_entry().items() if key not in spec.target.user_only_keys}
    assume(parses(entry))
    return entry


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_example_is_valid() -> None:
    validator.validate(jsonc.parse(EXAMPLE.read_text()))


@pytest.mark.parametrize("transport", transports())
def test_each_transport_has_its_keys_but_those_that_are_the_users_own(transport: str) -> None:
    kind = target_class(transport)

    assert set(PARTS[transport]["properties"]) == {*COMMON_KEYS, *kind.keys} - kind.user_only_keys
    assert transport in PARTS["environment"]["properties"]["transport"]["enum"]


@pytest.mark.parametrize("transport", transports())
def test_each_key_is_explained(transport: str) -> None:
    for key, part in PARTS[transport]["properties"].items():
        assert key == "transport" or part["description"].endswith(".")


@pytest.mark.parametrize("transport", transports())
def test_a_key_that_only_the_user_may_set_is_declared_like_the_others(transport: str) -> None:
    for key, part in {**COMMON_KEYS, **target_class(transport).keys}.items():
        jsonschema.Draft7Validator.check_schema(part)
        assert str(part["description"]).endswith("."), key


def test_commands_are_no_names() -> None:
    assert set(PARTS["environments"]["propertyNames"]["not"]["enum"]) == RESERVED_IN_PROJECTS


@given(specs.map(shareable))
def test_what_can_be_used_is_valid(entry: dict[str, Any]) -> None:
    validator.validate({"environments": {"www": entry}})
    validator.validate({"experimental": {"environments": {"www": entry}}})


WORDS = ["", "x", "-x", "a b", "a\nb", "a\x1b", "/x", "~x", "~", "x:y", "tcp://", "tcp://-h", "ssh://h/x"]
OTHERS = [True, 5, 0, 70_000, 1.5, [], ["x"], [1], ["A=1"], ["OCATTACH_TRUST"], {}, {"x": "y"}, {"A B": "1"}]
wrong = st.sampled_from([*WORDS, *OTHERS, {"A": True}, {"A": 1}, {"project": "a", "service": "b"}])


@given(specs.map(shareable), st.data())
@example({"transport": "docker"}, None)
def test_what_has_one_thing_wrong_is_refused_by_both_or_by_none(
    entry: dict[str, Any], data: st.DataObject | None
) -> None:
    if data is not None:
        known = sorted(PARTS[entry["transport"]]["properties"])
        key = data.draw(
            st.sampled_from([*known, "contianer", "headers", "password_command", "identity_file"])
        )
        entry = {**entry, key: data.draw(wrong)}
        assume(not (key in {"port", "daemon_port"} and {"port", "daemon_port"} <= set(entry)))

    assert validates(entry) == parses(entry), entry


@given(specs.map(shareable), st.data())
def test_what_lacks_something_is_refused_by_both_or_by_none(
    entry: dict[str, Any], data: st.DataObject
) -> None:
    entry.pop(data.draw(st.sampled_from(sorted(entry))))

    assert validates(entry) == parses(entry)


@pytest.mark.parametrize(
    "name",
    ["www", "a.b-c_d", "-x", ".x", "", "a b", "é", "x" * 100, "x" * 101, *sorted(RESERVED_IN_PROJECTS)],
)
def test_a_name_is_one_for_both_or_for_none(name: str) -> None:
    entry = {"transport": "local"}

    assert validates(entry, name) == parses(entry, name)


@pytest.mark.parametrize("document", [[], "x", {"environments": []}, {"environments": {"www": []}}])
def test_what_is_no_object_where_one_belongs_is_invalid(document: object) -> None:
    assert not validator.is_valid(document)
