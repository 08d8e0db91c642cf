from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.config.files.yaml_merge import merge_mapping, write_mapping
from ocattach.config.files.yaml_text import read_mapping
from ocattach.config.spec import ConnectionSpec
from tests.config.strategies import specs
from tests.config.test_yaml_text import lines

FILE = Path("/config/frontend.yaml")

FORMER = """\
# Ours since March.

transport: "docker"   # not podman
container: www # the old one
# Ask Kim before use.
env:
  # For the tests.
  A: 'x # y'  # keep
  B: "2"
workdir: /app # here

# The end.
"""


def merged(**changes: object) -> str:
    mapping = {**read_mapping(FORMER, FILE), **changes}
    mapping = {key: value for key, value in mapping.items() if value is not None}
    return merge_mapping(FORMER, write_mapping(mapping), FILE)


def test_what_stays_the_same_stays_as_it_is_written() -> None:
    assert merged() == FORMER


def test_a_value_is_changed_where_it_stands() -> None:
    assert merged(container="new", user="me") == FORMER.replace("www #", "new  #") + "user: me\n"


def test_a_key_that_goes_leaves_its_comments() -> None:
    text = merged(env=None, workdir=None)

    assert text == (
        "# Ours since March.\n\n"
        'transport: "docker"   # not podman\ncontainer: www # the old one\n# Ask Kim before use.\n'
        "  # For the tests.\n# here\n\n# The end.\n"
    )


def test_an_object_is_changed_as_a_whole_with_the_lines_of_its_comments() -> None:
    text = merged(env={"A": "z"})

    assert "env:\n  A: z\n  # For the tests.\nworkdir" in text


@pytest.mark.parametrize(
    "former", ["[", "transport: [docker\n# mine\n", "- a\n# mine\n", "a: \x01\n# mine\n"]
)
def test_of_a_damaged_file_the_comments_are_kept(former: str) -> None:
    text = merge_mapping(former, "transport: local\n", FILE)

    assert text == ("# mine\n" if "mine" in former else "") + "transport: local\n"


comments = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12).map("# {}".format)


@given(specs, specs, st.lists(comments, min_size=1, max_size=4), st.data())
def test_the_meaning_is_the_new_one_and_no_comment_is_lost(
    old: ConnectionSpec, new: ConnectionSpec, added: list[str], data: st.DataObject
) -> None:
    former = write_mapping(old.to_entry()).splitlines()
    tops = [at for at, line in enumerate(former) if line[:1].isalpha()] + [len(former)]
    for comment in added:
        former.insert(data.draw(st.sampled_from(tops[:1] or [0])), comment)

    text = merge_mapping("\n".join(former) + "\n", write_mapping(new.to_entry()), FILE)

    assert ConnectionSpec.from_entry(read_mapping(text, FILE)) == new
    for comment in added:
        assert comment in text


@given(st.lists(lines, max_size=5).map("\n".join) | st.text(), specs)
def test_whatever_stood_there_the_meaning_is_the_new_one(former: str, spec: ConnectionSpec) -> None:
    text = merge_mapping(former, write_mapping(spec.to_entry()), FILE)

    assert ConnectionSpec.from_entry(read_mapping(text, FILE)) == spec


def test_a_file_that_holds_null_is_replaced() -> None:
    text = merge_mapping("NULL", "transport: local\n", FILE)

    assert read_mapping(text, FILE) == {"transport": "local"}
