import json
from pathlib import Path

import pytest
from hypothesis import given

from ocattach.config.spec import ConnectionSpec, DefinitionSource
from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import UsageError
from tests.config.conftest import spec_of
from tests.config.strategies import specs


@given(specs)
def test_an_entry_makes_the_connection_it_came_from(spec: ConnectionSpec) -> None:
    assert ConnectionSpec.from_entry(json.loads(json.dumps(spec.to_entry()))) == spec


@given(specs)
def test_another_process_is_handed_the_same_connection(spec: ConnectionSpec) -> None:
    assert ConnectionSpec.from_json(spec.to_json()) == spec


def test_another_process_knows_the_name_and_where_it_was_defined() -> None:
    source = DefinitionSource("project", Path("/src/shop/opencode.json"), '{"transport":"local"}')
    spec = ConnectionSpec.from_entry({"transport": "local"}, name="here", source=source)

    assert ConnectionSpec.from_json(spec.to_json()) == spec


def test_an_entry_that_says_little_stays_short() -> None:
    assert spec_of("docker://c:/app").to_entry() == {
        "transport": "docker",
        "container": "c",
        "workdir": "/app",
    }


def test_the_port_of_an_ssh_entry_is_that_of_ssh() -> None:
    spec = ConnectionSpec.from_entry({"transport": "ssh", "host": "h", "port": 2222, "daemon_port": 4096})

    assert spec.target == SSHTarget("h", port=2222)
    assert spec.daemon_port == 4096


@pytest.mark.parametrize("key", ["port", "daemon_port"])
def test_elsewhere_the_port_is_the_daemons(key: str) -> None:
    assert ConnectionSpec.from_entry({"transport": "docker", "container": "c", key: 4096}).daemon_port == 4096


def test_two_different_ports_for_one_daemon_are_refused() -> None:
    with pytest.raises(UsageError, match="mean the same"):
        ConnectionSpec.from_entry({"transport": "local", "port": 1, "daemon_port": 2})


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({}, "transport is missing", "docker"),
        ({"trasnport": "docker"}, "transport is missing", "trasnport"),
        ({"transport": "dokcer"}, "Unknown transport 'dokcer'", "docker"),
        ({"transport": 5}, "transport must be text, not a number", '"5"'),
        ({"transport": "docker"}, "docker requires container", ""),
        ({"transport": "docker", "contianer": "c"}, "docker has no key 'contianer'", "container"),
        ({"transport": "ssh", "host": "h", "container": "c"}, "ssh has no key 'container'", ""),
        ({"transport": "docker", "container": 12}, "container must be text", '"12"'),
        ({"transport": "docker", "container": True}, "container must be text, not true or false", ""),
        ({"transport": "docker", "container": ["c"]}, "container must be text, not a list", ""),
        ({"transport": "docker", "compose": "shop"}, "compose must be an object, not text", ""),
        ({"transport": "docker", "compose": {"servise": "x"}}, "compose has no key 'servise'", "service"),
        ({"transport": "ssh", "host": "h", "port": "22"}, "port must be a whole number, not text", ""),
        ({"transport": "ssh", "host": "h", "port": True}, "port must be a whole number", ""),
        ({"transport": "ssh", "host": "h", "port": 0}, "port 0", ""),
        ({"transport": "local", "port": 70000}, "daemon_port 70000", ""),
        ({"transport": "local", "workdir": "app"}, "workdir 'app' is not absolute", "~/"),
        ({"transport": "local", "workdir": ""}, "not absolute", ""),
        ({"transport": "local", "workdir": "/a\nb"}, "workdir contains", ""),
        ({"transport": "local", "workdir": "/a\u202eb"}, "workdir contains", ""),
        ({"transport": "local", "description": "a\x1b]0;b"}, "description contains", ""),
        ({"transport": "local", "opencode": "--help"}, "opencode", ""),
        ({"transport": "local", "env": ["A=1"]}, "env must be an object, not a list", ""),
        ({"transport": "local", "env": {"A B": "1"}}, "'A B' is not a valid variable name", ""),
        ({"transport": "local", "env": {"A": True}}, "env: A must be text, not true or false", ""),
        ({"transport": "local", "env": {"A": "\0"}}, "env: A", ""),
        ({"transport": "local", "env": {"A": "\ud800"}}, "env: A", ""),
        ({"transport": "local", "env": {"OPENCODE_SERVER_PASSWORD": "x"}}, "set by ocattach", ""),
        ({"transport": "local", "forward_env": "KEY"}, "forward_env must be a list", ""),
        ({"transport": "local", "forward_env": ["A=1"]}, "forward_env: 'A=1'", ""),
        ({"transport": "local", "unset_env": [1]}, "unset_env: 1 must be text", ""),
        ({"transport": "http"}, "http requires url", ""),
        ({"transport": "http", "url": "http://h", "password_env": "a b"}, "password_env", ""),
        ({"transport": "http", "url": "http://h", "password_command": "pass x"}, "must be a list", ""),
    ],
)
def test_a_wrong_entry_is_refused_naming_the_key(entry: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        ConnectionSpec.from_entry(entry)

    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_number_is_a_fine_value_for_a_variable() -> None:
    spec = ConnectionSpec.from_entry({"transport": "local", "env": {"PORT": 3000}})

    assert spec.env == (("PORT", "3000"),)


def test_null_counts_as_absent() -> None:
    assert ConnectionSpec.from_entry({"transport": "local", "workdir": None, "env": None}).workdir is None


def test_directories_of_one_environment_share_a_link() -> None:
    one, other = spec_of("docker://c:/app"), spec_of("docker://c:/srv")

    assert one.link_key() == other.link_key()


@pytest.mark.parametrize(
    "other",
    [
        "docker://d",
        "podman://c",
        "docker://root@c",
        "docker://c?context=x",
        "ssh://c",
        "docker://compose/c/c",
    ],
)
def test_different_environments_have_different_links(other: str) -> None:
    assert spec_of("docker://c").link_key() != spec_of(other).link_key()


def test_a_chosen_daemon_has_a_link_of_its_own() -> None:
    entry = {"transport": "docker", "container": "c"}
    specs = [
        ConnectionSpec.from_entry({**entry, **more}) for more in ({}, {"port": 4096}, {"opencode": "/opt/oc"})
    ]

    assert len({spec.link_key() for spec in specs}) == 3


@pytest.mark.parametrize(
    ("uri", "variable"), [("k8s://api?context=default", "KUBECONFIG"), ("local://", "HOME")]
)
def test_what_is_another_environment_elsewhere_has_a_link_of_its_own(uri: str, variable: str) -> None:
    spec = spec_of(uri)

    assert spec.link_key({variable: "/one"}) == spec.link_key({variable: "/one", "LANG": "C"})
    assert spec.link_key({variable: "/one"}) != spec.link_key({variable: "/other"})


def test_the_key_of_a_link_is_a_short_file_name() -> None:
    key = spec_of("docker://c").link_key()

    assert len(key) == 16
    assert set(key) <= set("0123456789abcdef")


def test_a_connection_is_shown_as_its_uri() -> None:
    assert spec_of("docker://frontend-app:/app").display() == "docker://frontend-app:/app"


def test_values_of_variables_are_in_no_traceback() -> None:
    spec = ConnectionSpec.from_entry({"transport": "local", "env": {"KEY": "s3cret"}})

    assert "s3cret" not in repr(spec)


def test_forwarded_are_those_variables_that_are_there() -> None:
    spec = ConnectionSpec.from_entry({"transport": "local", "forward_env": ["KEY", "MISSING"]})

    assert spec.forwarded_env({"KEY": "value", "OTHER": "x"}) == (("KEY", "value"),)


def test_options_are_laid_over_a_connection() -> None:
    spec = spec_of("ssh://deploy@h:22/app").with_overrides(
        workdir="/srv", user="root", identity="~/.ssh/k", port=2222
    )

    assert spec.target == SSHTarget("h", user="root", port=2222, identity_file="~/.ssh/k")
    assert spec.workdir == "/srv"


def test_options_of_a_cluster_are_laid_over_a_pod() -> None:
    spec = spec_of("k8s://www?namespace=a").with_overrides(namespace="b", context="dev", container="app")

    assert spec.target == KubernetesTarget(pod="www", namespace="b", context="dev", container="app")


def test_no_option_changes_nothing() -> None:
    spec = spec_of("http://me@h:1")

    assert spec.with_overrides() == spec
    assert isinstance(spec.target, HTTPTarget)


@pytest.mark.parametrize(
    ("uri", "options", "option"),
    [
        ("docker://c", {"port": 22}, "--port"),
        ("docker://c", {"identity": "k"}, "--identity"),
        ("docker://c", {"namespace": "n"}, "--namespace"),
        ("ssh://h", {"container": "c"}, "--container"),
        ("k8s://p", {"user": "root"}, "--user"),
        ("http://h", {"user": "me"}, "--user"),
        ("local://", {"user": "me"}, "--user"),
    ],
)
def test_an_option_that_a_scheme_does_not_know_is_refused_by_name(
    uri: str, options: dict[str, str], option: str
) -> None:
    with pytest.raises(UsageError, match=option):
        spec_of(uri).with_overrides(**options)


@pytest.mark.parametrize(("uri", "options"), [("ssh://h", {"user": "-x"}), ("local://", {"workdir": "app"})])
def test_a_typed_option_is_checked_as_an_entry_is(uri: str, options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        spec_of(uri).with_overrides(**options)


def test_the_default_directory_is_used_and_not_forced() -> None:
    here = Path("/src/shop")

    assert spec_of("local://").with_default_workdir(here).workdir == "/src/shop"
    assert spec_of("local:///srv").with_default_workdir(here).workdir == "/srv"
    assert spec_of("ssh://h").with_default_workdir(here).workdir is None
