"""Whatever a file holds: connections, or errors of ours that name it and cannot drive a terminal."""

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ocattach.cli.approval import consequences, differences
from ocattach.cli.terminal import escape
from ocattach.config.common_keys import COMMON_KEYS
from ocattach.config.project import definition
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.registry import target_class, transports
from ocattach.daemon.script import parse_report
from ocattach.errors import ConnectionLostError, UsageError
from ocattach.execution import CommandResult
from tests.config.strategies import specs
from tests.rigs.printed import is_printable

FILE = Path("/src/shop/opencode.json")
KEYS = sorted({*COMMON_KEYS, *(key for scheme in transports() for key in target_class(scheme).keys)})

texts = st.text(max_size=12) | st.sampled_from(
    ["-x", "a\nb", "\x1b[2J", "\u202e", "a%0ab", "$(id)", "docker", "c"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
entries = st.dictionaries(st.sampled_from(KEYS) | texts, values, max_size=6).flatmap(
    lambda entry: st.sampled_from([*transports(), None]).map(
        lambda transport: {**entry, "transport": transport} if transport else entry
    )
)


@given(texts | st.just("www"), entries | values)
def test_an_entry_is_a_connection_or_an_error_on_one_line(name: str, entry: object) -> None:
    try:
        spec = definition(name, entry, FILE)
    except UsageError as error:
        for text in (error.message, error.hint):
            assert "\n" not in text
            assert is_printable(escape(text))
    else:
        assert ConnectionSpec.from_json(spec.to_json()) == spec
        written = ConnectionSpec.from_entry(json.loads(spec.source.definition), name=name, source=spec.source)
        assert replace(written, target=written.target.located(FILE.parent)) == spec


@given(specs, specs)
def test_what_is_shown_of_a_definition_is_a_line_for_each_key_and_drives_no_terminal(
    old: ConnectionSpec, new: ConnectionSpec
) -> None:
    shown = [line for _, line in differences(old.to_entry(), new.to_entry())] + consequences(new, {})

    for line in shown:
        assert "\n" not in line
        assert is_printable(escape(line))
    changed = {mark for mark, _ in differences(old.to_entry(), new.to_entry())} - {" "}
    assert bool(changed) is (old.to_entry() != new.to_entry())


@given(st.binary() | st.binary().map(lambda data: b"mark probe=1\nmark " + data + b"\n"))
def test_what_an_environment_answers_is_a_report_or_a_lost_connection(data: bytes) -> None:
    said = ""
    try:
        parse_report(CommandResult(0, data, data), "probe", "mark")
    except ConnectionLostError as error:
        said = error.message

    assert is_printable(escape(said))
