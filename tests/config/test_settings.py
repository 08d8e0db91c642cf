from pathlib import Path

import pytest

from ocattach.config.settings import Settings, load_settings
from ocattach.errors import ConfigurationError


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings(link_idle_seconds=600, connect_timeout_seconds=60)


def test_hooks_are_commands_by_the_type_of_event(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("notify: [idle]\nhooks: {answer: [[say, --now], [log]]}\n")

    read = load_settings(tmp_path)
    assert (read.notify, read.hooks) == (("idle",), {"answer": (("say", "--now"), ("log",))})


@pytest.mark.parametrize("content", ["", "# nothing yet\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)

    assert load_settings(tmp_path) == Settings()


def test_what_is_set_counts(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "link_idle_seconds: 30 # short\nconnect_timeout_seconds: 2.5\nssh_client: paramiko\n"
    )

    expected = Settings(link_idle_seconds=30, connect_timeout_seconds=2.5, ssh_client="paramiko")
    assert load_settings(tmp_path) == expected


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("link_idle_secs: 5\n", "no key 'link_idle_secs'", "link_idle_seconds"),
        ("link_idle_seconds: soon\n", "link_idle_seconds must be a number of seconds, not text", ""),
        ("link_idle_seconds: true\n", "must be a number of seconds, not true or false", ""),
        ("link_idle_seconds: -1\n", "greater than 0", ""),
        ("connect_timeout_seconds: 0\n", "greater than 0", ""),
        ("connect_timeout_seconds: .nan\n", "greater than 0", ""),
        ("connect_timeout_seconds: .inf\n", "greater than 0", ""),
        ("dead_seconds: 31536000\n", "at most 1000000", ""),
        ("connect_timeout_seconds:\n", "must be a number of seconds", ""),
        ("ssh_client: putty\n", "ssh_client must be auto or openssh or paramiko, not text", ""),
        ("notify: idle\n", "notify must be a list of waiting, idle, error, not text", ""),
        ("notify: [busy]\n", "notify must be a list of waiting, idle, error, not a list", ""),
        ("session_variables: [A B]\n", "session_variables", ""),
        ("session_variables: A\n", "session_variables must be a list of names of variables, not text", ""),
        ("hooks: [x]\n", "hooks must be a mapping of types of events, not a list", ""),
        ("hooks: {tool-ends: [[x]]}\n", "hooks has no key 'tool-ends'", "Did you mean tool-end"),
        (
            "hooks: {answer: [x]}\n",
            "hooks.answer must be a list of commands, each a list of texts, not a list",
            "",
        ),
        (
            "hooks: {answer: [[]]}\n",
            "hooks.answer must be a list of commands, each a list of texts, not a list",
            "",
        ),
        (
            "hooks: {answer: [[1]]}\n",
            "hooks.answer must be a list of commands, each a list of texts, not a list",
            "",
        ),
        ("- a\n", "must be an object", ""),
        ("a: [\n", "line", ""),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(
    tmp_path: Path, content: str, message: str, hint: str
) -> None:
    (tmp_path / "config.yaml").write_text(content)

    with pytest.raises(ConfigurationError) as raised:
        load_settings(tmp_path)

    assert str(tmp_path / "config.yaml") in raised.value.message
    assert message in raised.value.message
    assert hint in raised.value.hint
