import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocattach.config.files.safe import LARGEST, Problem
from ocattach.config.project import (
    MOST_ENTRIES,
    MOST_PROBLEMS,
    find_in_project,
    project_definitions,
)
from ocattach.config.project_files import OPENCODE_FILES, OUR_FILES, project_directories
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError
from tests.config.conftest import Desk

FILES = ["opencode.json", "opencode.jsonc", ".opencode/ocattach.json", ".opencode/ocattach.jsonc"]
WEB = {"transport": "docker", "container": "www"}


def container(name: str) -> dict[str, object]:
    return {"transport": "docker", "container": name}


def problems(cwd: Path) -> list[Problem]:
    return [item for item in project_definitions(cwd) if isinstance(item, Problem)]


def shown(name: str, cwd: Path) -> str | None:
    spec = find_in_project(name, cwd)
    return spec.display() if spec else None


@pytest.mark.parametrize("file", FILES)
def test_a_definition_is_found_in_each_kind_of_file(desk: Desk, file: str) -> None:
    path = desk.define({"www": WEB}, file)

    spec = find_in_project("www", desk.project)

    assert spec is not None
    assert spec.display() == "docker://www"
    assert spec.name == "www"
    assert (spec.source.kind, spec.source.path) == ("project", path)


@pytest.mark.parametrize("file", FILES)
def test_comments_and_trailing_commas_are_allowed(desk: Desk, file: str) -> None:
    path = desk.define({}, file)
    path.write_text(
        '{ // ours\n "environments": { "www": { "transport": "docker", "container": "www", }, }, }'
    )

    assert shown("www", desk.project) == "docker://www"


def test_a_definition_is_found_below_experimental_too(desk: Desk) -> None:
    (desk.project / "opencode.json").write_text(json.dumps({"experimental": {"environments": {"www": WEB}}}))

    assert shown("www", desk.project) == "docker://www"


def test_the_top_level_counts_more_than_experimental(desk: Desk) -> None:
    document = {
        "environments": {"www": container("a")},
        "experimental": {"environments": {"www": container("b")}},
    }
    (desk.project / "opencode.json").write_text(json.dumps(document))

    assert shown("www", desk.project) == "docker://a"


def test_opencodes_own_settings_do_not_disturb(desk: Desk) -> None:
    (desk.project / "opencode.json").write_text(
        json.dumps({"model": "x/y", "experimental": {"hook": 1}, "environments": {"www": WEB}})
    )

    assert problems(desk.project) == []
    assert shown("www", desk.project) == "docker://www"


def test_the_nearest_definition_counts(desk: Desk) -> None:
    desk.define({"www": container("far"), "api": container("api")})
    desk.define({"www": container("near")}, "packages/shop/opencode.json")
    inner = desk.project / "packages/shop/src"
    inner.mkdir()

    assert shown("www", inner) == "docker://near"
    assert shown("api", inner) == "docker://api"
    assert shown("www", desk.project) == "docker://far"


def test_in_one_directory_our_own_file_counts_more(desk: Desk) -> None:
    desk.define({"www": container("opencode")}, "opencode.json")
    desk.define({"www": container("ours")}, ".opencode/ocattach.json")

    assert shown("www", desk.project) == "docker://ours"


def test_nothing_above_the_git_tree_is_read(desk: Desk) -> None:
    (desk.project.parent / "opencode.json").write_text(json.dumps({"environments": {"www": WEB}}))

    assert shown("www", desk.project) is None


def test_a_worktree_is_a_git_tree(desk: Desk) -> None:
    desk.define({"www": WEB})
    tree = desk.project / "trees/fix"
    tree.mkdir(parents=True)
    (tree / ".git").write_text("gitdir: ../../.git/worktrees/fix")

    assert shown("www", tree) is None


def test_outside_a_git_tree_only_the_working_directory_is_read(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (tmp_path / "a/opencode.json").write_text(json.dumps({"environments": {"www": WEB}}))

    assert project_directories(inner) == [inner]
    assert shown("www", inner) is None
    assert shown("www", tmp_path / "a") == "docker://www"


def test_a_linked_working_directory_is_where_it_really_is(desk: Desk, tmp_path: Path) -> None:
    desk.define({"www": WEB})
    (desk.project / "src").mkdir()
    (tmp_path / "link").symlink_to(desk.project / "src")

    assert shown("www", tmp_path / "link") == "docker://www"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"transport": "ssh", "host": "h", "identity_file": "~/.ssh/id"}, "identity_file"),
        (
            {"transport": "http", "url": "http://h", "password_command": ["sh", "-c", "id"]},
            "password_command",
        ),
        ({"transport": "http", "url": "http://h", "headers": {"X-Token": "t"}}, "headers"),
        ({"transport": "http", "url": "http://h", "allow_plain_password": True}, "allow_plain_password"),
        ({"transport": "docker", "container": "c", "allow_plain_password": True}, "allow_plain_password"),
        ({"transport": "http", "url": "https://h", "ca_file": "/ca.pem"}, "ca_file"),
        ({"transport": "docker", "container": "c", "host": "tcp://h:2376", "cert_path": "/c"}, "cert_path"),
        ({"transport": "local", "opencode": "./evil"}, "opencode"),
        ({"transport": "local", "unset_env": ["OPENCODE_CONFIG"]}, "unset_env"),
        ({"transport": "local", "env": {"LD_PRELOAD": "./evil.so"}}, "env"),
    ],
)
def test_a_project_cannot_set_what_acts_on_this_machine(
    desk: Desk, entry: dict[str, object], key: str
) -> None:
    path = desk.define({"bad": entry, "www": WEB})

    with pytest.raises(ConfigurationError) as raised:
        find_in_project("bad", desk.project)

    refusal = f"{path}:1: environments: bad: {key} cannot be set in a project file: "
    assert raised.value.message.startswith(refusal)
    assert len(raised.value.message) > len(refusal), "the reason"
    assert "ocattach --save bad" in raised.value.hint
    assert shown("www", desk.project) == "docker://www"


@pytest.mark.parametrize("jump", ["-oProxyCommand=id", "$(id)", "h;id", "sh -c id", "h,-x"])
def test_a_project_cannot_smuggle_a_command_into_a_jump(desk: Desk, jump: str) -> None:
    desk.define({"bad": {"transport": "ssh", "host": "h", "jump": jump}})

    with pytest.raises(ConfigurationError, match="jump"):
        find_in_project("bad", desk.project)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("proxy_command", "a command on this machine"),
        ("ProxyCommand", "a command on this machine"),
        ("strict_host_key_checking", "which host keys are accepted"),
        ("StrictHostKeyChecking", "which host keys are accepted"),
        ("known_hosts", "which host keys are accepted"),
        ("password", "secret"),
    ],
)
def test_what_a_project_can_set_nowhere_is_named_with_the_reason(desk: Desk, key: str, words: str) -> None:
    path = desk.define({"bad": {"transport": "ssh", "host": "h", key: "no"}, "www": WEB})

    with pytest.raises(ConfigurationError) as raised:
        find_in_project("bad", desk.project)

    assert f"{path}:1: environments: bad: {key} cannot be set in a project file" in raised.value.message
    assert words in raised.value.message
    assert raised.value.hint
    assert shown("www", desk.project) == "docker://www"


@pytest.mark.parametrize(
    "more", [{"env": {"KEY": "{env:KEY}"}}, {"user": "{env:USER}"}, {"description": "{file:~/.ssh/id}"}]
)
def test_a_project_reads_no_variable_and_no_file_of_this_machine(desk: Desk, more: dict[str, object]) -> None:
    desk.define({"bad": {**WEB, **more}})

    with pytest.raises(ConfigurationError, match=next(iter(more))):
        find_in_project("bad", desk.project)


def test_a_variable_that_is_meant_to_be_handed_over_has_its_own_key(desk: Desk) -> None:
    desk.define({"bad": {**WEB, "env": {"KEY": "{env:KEY}"}}})

    with pytest.raises(ConfigurationError, match=r"env contains \{env:KEY\}") as raised:
        find_in_project("bad", desk.project)

    assert "forward_env" in raised.value.hint


LINES = """{
  // Ours.
  "model": "x/y", "experimental": {"environments": {
    "below": {"transport": "docker", "contianer": "c"},
  }},
  "environments": {
    "key": {
      "transport": "docker", /* "contianer": 1,
      */ "container": "a",
      "contianer": "b",
    },
    "value": {
      "transport": "docker",
      "container": "c",
      "workdir":
        "app",
    },
    "nested": {
      "transport": "docker",
      "compose": {
        "project": "p",
        "servise": "s",
      },
    },
    "whole":
      [],
    "missing": { "transport": "docker" },
    "forbidden": {
      "transport": "ssh", "host": "h",
      "identity_file": "~/.ssh/id",
    },
    "www": { "transport": "docker", "container": "www" },
  },
}
"""


def test_an_error_names_the_line_of_the_key_that_is_wrong(desk: Desk) -> None:
    path = desk.define({})
    path.write_text(LINES)

    told = {problem.name: problem.error.message.partition(": ")[0] for problem in problems(desk.project)}

    lines = {"below": 4, "key": 10, "value": 15, "nested": 22, "whole": 25, "missing": 27, "forbidden": 30}
    assert told == {name: f"{path}:{line}" for name, line in lines.items()}
    assert shown("www", desk.project) == "docker://www"


def test_an_error_of_the_file_names_the_line_too(desk: Desk) -> None:
    path = desk.define({}, ".opencode/ocattach.json")
    path.write_text('{\n  "environments": {},\n  "enviroments": {}\n}')

    (problem,) = problems(desk.project)

    assert problem.error.message.startswith(f"{path}:3: ")


def test_a_bad_entry_is_reported_without_losing_the_good_ones(desk: Desk) -> None:
    path = desk.define(
        {
            "typo": {"transport": "docker", "contianer": "c"},
            "empty": {},
            "list": [],
            "bad name": WEB,
            "session": WEB,
            "www": WEB,
        }
    )

    found = list(project_definitions(desk.project))

    assert [item.name for item in found if isinstance(item, ConnectionSpec)] == ["www"]
    by_name = {item.name: item for item in found if isinstance(item, Problem)}
    assert set(by_name) == {"typo", "empty", "list", "bad name", "session"}
    assert by_name["typo"].error.message == f"{path}:1: environments: typo: docker has no key 'contianer'"
    assert by_name["typo"].error.hint.startswith("Did you mean container")


def test_a_bad_nearer_definition_does_not_send_one_to_a_farther_environment(desk: Desk) -> None:
    desk.define({"www": container("far")})
    desk.define({"www": {"transport": "docker"}}, "inner/opencode.json")

    with pytest.raises(ConfigurationError, match="docker requires container"):
        find_in_project("www", desk.project / "inner")


def test_an_unreadable_nearer_file_does_not_send_one_to_a_farther_environment(desk: Desk) -> None:
    desk.define({"www": container("far")})
    desk.define({}, "inner/opencode.json").write_text('{"environments": ')

    with pytest.raises(ConfigurationError, match=r"inner/opencode\.json: invalid JSON"):
        find_in_project("www", desk.project / "inner")


def test_an_unreadable_farther_file_does_not_hurt(desk: Desk) -> None:
    desk.define({}).write_text("{")
    desk.define({"www": WEB}, "inner/opencode.json")

    assert shown("www", desk.project / "inner") == "docker://www"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{\n"environments": {\n]', "line 3"),
        ("", "invalid JSON"),
        ("[]", "the file must be an object, not a list"),
        ('{"environments": []}', "environments must be an object, not a list"),
        ("[" * 100_000, "nested too deeply"),
        ('{"environments": ' + "9" * 5000 + "}", "environments must be an object, not a number"),
        ("/*" + " " * LARGEST, "larger than 1024 KiB"),
    ],
)
def test_a_damaged_file_is_one_problem(desk: Desk, content: str, part: str) -> None:
    path = desk.define({})
    path.write_text(content)

    (problem,) = problems(desk.project)

    assert problem.name is None
    assert str(path) in problem.error.message
    assert part in problem.error.message


def test_an_unknown_key_in_our_own_file_is_named_with_the_closest(desk: Desk) -> None:
    (desk.project / ".opencode").mkdir()
    (desk.project / ".opencode/ocattach.json").write_text('{"enviroments": {}}')

    (problem,) = problems(desk.project)

    assert "'enviroments'" in problem.error.message
    assert problem.error.hint == "Did you mean environments?"


def test_our_own_file_may_name_its_schema(desk: Desk) -> None:
    (desk.project / ".opencode").mkdir()
    (desk.project / ".opencode/ocattach.json").write_text('{"$schema": "x", "environments": {}}')

    assert problems(desk.project) == []


def test_a_pipe_or_a_directory_in_place_of_the_file_is_refused_without_waiting(desk: Desk) -> None:
    os.mkfifo(desk.project / "opencode.json")
    (desk.project / "opencode.jsonc").mkdir()

    assert ["not a regular file" in problem.error.message for problem in problems(desk.project)] == [
        True,
        True,
    ]


def test_a_byte_order_mark_does_not_disturb(desk: Desk) -> None:
    path = desk.define({"www": WEB})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert shown("www", desk.project) == "docker://www"


DEEP = "[" * 100_000
ALMOST = "[" * 800 + "]" * 800
"""Python's parser takes this, and some that call it do not."""


@pytest.mark.parametrize("name", [OPENCODE_FILES[0], OUR_FILES[0]])
@pytest.mark.parametrize(
    "content",
    [
        f'{{"environments": {DEEP}',
        f'{{"environments": {{"www": {DEEP}',
        f'{{"a": 1, // comment\n"environments": {{"www": {{"env": {DEEP}',
        f'{{"environments": {{"www": {{"env": {ALMOST}}}}}}}',
        f'{{"environments": {{"www": {ALMOST}}}}}',
        f'{{"other": {ALMOST}, "environments": {{"www": 1}}}}',
        '{"environments":' + '{"www":' * 800 + "1" + "}" * 801,
        '{"environments":' * 50_000,
        '"' * 500_000,
        "/*" * 400_000,
        "//" * 400_000,
        '{"environments": {"www": {"host": ' + ", " * 400_000 + "}}}",
    ],
    ids=range(12),
)
def test_brackets_without_end_are_one_problem_and_soon(desk: Desk, name: str, content: str) -> None:
    path = desk.define({}, name)
    path.write_text(content)

    began = time.monotonic()
    (problem,) = problems(desk.project)

    assert str(path) in problem.error.message
    assert time.monotonic() - began < SECONDS


SECONDS = 10
"""A busy machine takes a fifth of it, and what takes quadratic time many times more."""


@pytest.mark.parametrize("name", [OPENCODE_FILES[0], OUR_FILES[0]])
@pytest.mark.parametrize(
    "entries",
    [
        {
            f"n{number}": {"transport": "docker", "container": "c", f"k{number}": 1}
            for number in range(20_000)
        },
        {f"n {number}": "docker://c" for number in range(40_000)},
        {f"n{number}": 1 for number in range(60_000)},
        {f"n{number}": "docker://c" for number in range(40_000)},
        {"www": {"transport": "docker", "container": "c", **{f"k{number}": 1 for number in range(50_000)}}},
        {"www": {"transport": "docker", "container": "c", "k" * 900_000: 1}},
        {"www": {"transport": "docker", "container": "c", **{f"k{n}": {"a": 1} for n in range(40_000)}}},
    ],
    ids=range(7),
)
def test_thousands_of_mistakes_are_the_first_few_and_soon(
    desk: Desk, name: str, entries: Mapping[str, object]
) -> None:
    desk.define(entries, name)

    began = time.monotonic()
    found = list(project_definitions(desk.project))

    assert time.monotonic() - began < SECONDS
    assert 0 < len([each for each in found if isinstance(each, Problem)]) <= MOST_PROBLEMS + 1
    assert len(found) <= MOST_ENTRIES + 1


def test_an_entry_before_too_many_mistakes_can_be_used(desk: Desk) -> None:
    desk.define({"www": WEB, **{f"n{number}": 1 for number in range(100)}})

    assert shown("www", desk.project) == "docker://www"
    with pytest.raises(ConfigurationError, match="90 more entries were not read"):
        find_in_project("other", desk.project)


LONG = "a" * 100_000
LONG_TEXTS: list[dict[str, object]] = [
    {LONG: {}},
    {"a": {LONG: 1}},
    {"a": {"transport": LONG}},
    {"a": f"{LONG}://x"},
    {"a": {"transport": "ssh", "host": "h", LONG: 1}},
]


@pytest.mark.parametrize("entries", LONG_TEXTS, ids=range(len(LONG_TEXTS)))
def test_a_message_has_the_beginning_of_a_long_text(desk: Desk, entries: dict[str, object]) -> None:
    desk.define(entries)
    (problem,) = project_definitions(desk.project)

    assert isinstance(problem, Problem)
    assert len(problem.error.message + problem.error.hint) < 2000
