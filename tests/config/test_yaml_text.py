from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ocattach.config.files.yaml_merge import write_mapping
from ocattach.config.files.yaml_text import read_mapping, read_plain
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError
from tests.config.strategies import specs

FILE = Path("/config/frontend.yaml")

words = [
    *(
        "y",
        "No",
        "null",
        "~",
        "on",
        "TRUE",
        "1_000",
        "0x1f",
        "1e3",
        "017",
        "08",
        "0",
        "-1",
        "+1",
        "1.5",
        "12:30",
    ),
    *(
        "2020-01-01",
        "/a:b",
        "http://h:1",
        "a:b:",
        "y:n",
        "~/.a",
        "~y",
        "a=b",
        "a@b+c",
        "a:",
        "=",
        "<<",
        "a b",
        "a#b",
        "a #b",
        "'a'",
        '"a"',
        "{}",
        "[]",
        "&a",
        "*a",
        "!a",
        "|",
    ),
    *(
        "",
        "a-b",
        "/app",
        "www.prod",
        "42",
        "999999999",
        "9999999999",
        ".inf",
        "a\u2028b",
        "é",
        "a\tb",
        "\x07",
    ),
]
keys = ["key", "a_b", "on", "y", "null", "Key", " key", "?", "- key", "# note", "#\x07", "---", "..."]
lines = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(keys[:2]) | st.sampled_from(keys),
    st.just(": ") | st.sampled_from([":", " : ", ":  ", ""]),
    st.sampled_from(words) | st.text("ae01.-_/:~#'\"[]{}&*!|>%@`, \tyn", max_size=8),
    st.just("") | st.sampled_from([" ", " # note", "\r", "\t", "\u2028", "\u0085x", "\ufeff"]),
)


def test_each_word_is_read_as_the_yaml_library_reads_it() -> None:
    for key in keys:
        for word in words:
            check_against_library(f"{key}: {word}")


@given(st.lists(lines, max_size=4).map("\n".join) | st.text())
def test_the_short_way_reads_what_the_yaml_library_reads(text: str) -> None:
    check_against_library(text)


def check_against_library(text: str) -> None:
    plain = read_plain(text)
    if plain is not None:
        library = yaml.safe_load(text) or {}
        assert plain == library
        assert [type(value) for value in plain.values()] == [type(value) for value in library.values()]


@given(specs)
def test_a_connection_survives_its_file(spec: ConnectionSpec) -> None:
    assert ConnectionSpec.from_entry(read_mapping(write_mapping(spec.to_entry()), FILE)) == spec


@given(st.text() | st.lists(lines).map("\n".join))
def test_any_text_is_a_mapping_or_a_configuration_error(text: str) -> None:
    try:
        read_mapping(text, FILE)
    except ConfigurationError as error:
        assert str(FILE) in error.message  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "entry",
    [
        {"transport": "ssh", "host": "staging.example.com", "port": 2222, "workdir": "/var/www/app"},
        {"transport": "ssh", "host": "build", "user": "ci", "identity": "~/.ssh/id_ed25519"},
        {"transport": "docker", "container": "frontend-app", "host": "unix:///run/user/1000/docker.sock"},
        {
            "transport": "http",
            "url": "https://opencode.example.com:8443/team",
            "password_env": "TEAM_PASSWORD",
        },
        {"transport": "k8s", "selector": "app=api", "context": "admin@dev"},
    ],
)
def test_what_we_save_needs_no_library_to_read(entry: dict[str, object]) -> None:
    assert read_plain(write_mapping(entry)) == entry


def test_comments_are_passed_over() -> None:
    assert read_mapping("# mine\ntransport: docker # the old one\ncontainer: 'c'\n", FILE) == {
        "transport": "docker",
        "container": "c",
    }


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\nb: [\n", "line 3"),
        ("- a\n- b\n", "must be an object, not a list"),
        ("just text", "must be an object, not text"),
        ("1: a", "the key 1 must be text"),
        ("a: 2020-13-45", "not valid YAML"),
        ("a: \x01", "not valid YAML"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML in line 1"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_what_is_no_mapping_is_refused_naming_the_file(text: str, part: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_mapping(text, FILE)

    assert str(FILE) in raised.value.message
    assert part in raised.value.message
