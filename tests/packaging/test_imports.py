"""What is not needed is not imported: SDKs take longer to load than a warm connection takes as a whole."""

import json
import subprocess
import sys

import pytest

from ocattach.config.targets.registry import SCHEMES

SDKS = {"docker", "kubernetes", "paramiko"}
SLOW = {*SDKS, "asyncio", "rich", "yaml"}

OWN_SDK = {
    "docker": {"docker"},
    "http": set(),
    "k8s": {"kubernetes"},
    "local": set(),
    "podman": {"docker"},
    "ssh": set(),
}
"""The SDKs that a transport may import."""


NOT_WARM = {
    "bz2", "filelock", "logging", "lzma", "platformdirs", "shutil", "subprocess", "tempfile", "tomllib", "zlib",
    "ocattach.cli.approval", "ocattach.cli.unknown_key", "ocattach.config.schema",
    "ocattach.config.targets.meant", "ocattach.link.client.direct",
}  # fmt: skip
"""What takes milliseconds to import and is not needed to attach by a warm link to a saved or trusted connection."""


WARM_DATACLASSES = {"Attachment", "ConnectionSpec", "DefinitionSource", "ContainerTarget"}
"""Those that check their values or hide secrets. A dataclass compiles its methods at each start, a NamedTuple none."""


def modules_after(module: str) -> set[str]:
    """The names of all modules that are there once a module was imported."""
    return found_after(module, "[name for name, found in sys.modules.items() if found]")


def found_after(module: str, names: str) -> set[str]:
    """The names of which an expression makes a list, once a module was imported."""
    code = f"import gc, json, sys, {module}; print(json.dumps({names}))"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(json.loads(printed))


def imported_by(module: str) -> set[str]:
    """The same as top-level names."""
    return {name.partition(".")[0] for name in modules_after(module)}


def test_the_command_line_imports_nothing_slow() -> None:
    assert not imported_by("ocattach.cli") & SLOW


@pytest.mark.parametrize(
    "room",
    [
        "ocattach.cli.commands.attach",
        "ocattach.config.resolver",
        "ocattach.link.client.foreground",
        "ocattach.cli.status",
        "ocattach.survey.status",
    ],
)
def test_finding_or_asking_a_warm_link_imports_nothing_slow(room: str) -> None:
    assert not imported_by(room) & SLOW


@pytest.mark.parametrize(
    "room", ["ocattach.cli", "ocattach.cli.commands.attach", "ocattach.link.client.foreground"]
)
def test_attaching_by_a_warm_link_imports_neither_http_nor_tls_nor_a_database(room: str) -> None:
    assert not imported_by(room) & {"http", "ssl", "sqlite3", "random", "traceback"}


@pytest.mark.parametrize(
    "room",
    [
        "ocattach.cli.main",
        "ocattach.cli.commands.attach",
        "ocattach.config.project",
        "ocattach.config.targets.podman_config",
        "ocattach.link.client.foreground",
    ],
)
def test_attaching_by_a_warm_link_imports_nothing_that_only_other_cases_need(room: str) -> None:
    assert not modules_after(room) & NOT_WARM


def test_attaching_by_a_warm_link_makes_no_more_dataclasses_than_need_to_be() -> None:
    modules = "ocattach.cli.main, ocattach.cli.commands.attach, ocattach.config.targets.container"
    classes = "[each for each in gc.get_objects() if isinstance(each, type) and each.__module__.startswith('ocattach')]"
    dataclasses = f"[each.__name__ for each in {classes} if '__dataclass_fields__' in vars(each)]"

    assert found_after(modules, dataclasses) == WARM_DATACLASSES


@pytest.mark.parametrize("module", ["ocattach.link.client.direct", "ocattach.transports.http.transport"])
def test_a_connection_without_a_link_imports_nothing_slow(module: str) -> None:
    assert not imported_by(module) & SLOW


def test_a_connection_without_a_link_imports_neither_our_scripts_nor_what_knows_sessions() -> None:
    modules = modules_after("ocattach.link.client.direct, ocattach.transports.http.transport")

    assert not modules & {"ocattach.daemon", "ocattach.execution", "ocattach.opencode.sessions"}


@pytest.mark.parametrize("scheme", sorted(OWN_SDK))
def test_a_transport_imports_no_sdk_but_its_own(scheme: str) -> None:
    module, _, _ = SCHEMES[scheme].handler.partition(":")

    assert imported_by(module) & SDKS == OWN_SDK[scheme]


def test_paramiko_is_imported_without_what_it_can_do_without() -> None:
    imported = imported_by("ocattach.transports.ssh.paramiko.connection")

    assert "paramiko" in imported
    assert not imported & {"invoke", "yaml"}


def test_openssh_is_run_without_paramiko_or_cryptography() -> None:
    imported = imported_by("ocattach.transports.ssh.openssh.connection")

    assert not imported & {"paramiko", "cryptography", "ssl", "requests"}


def test_a_link_by_openssh_imports_no_tunnel_before_ssh_logs_in() -> None:
    modules = ("ocattach.link.server.process", "ocattach.transports.ssh.transport")
    imported = imported_by(", ".join((*modules, "ocattach.transports.ssh.openssh.connection")))

    assert not imported & {"asyncio", "sqlite3"}


def test_a_link_by_docker_imports_no_tunnel_before_it_looks_for_the_daemon() -> None:
    imported = imported_by("ocattach.link.server.process, ocattach.transports.containers.docker")

    assert not imported & {"asyncio", "h11", "sqlite3"}


def test_a_link_by_openssh_imports_neither_compression_nor_locks() -> None:
    modules = ("ocattach.link.server.process", "ocattach.transports.ssh.transport", "ocattach.tunnel.tunnel")
    imported = imported_by(", ".join((*modules, "ocattach.transports.ssh.openssh.connection")))

    assert not imported & {"bz2", "lzma", "shutil", "tempfile", "zipfile", "filelock", "decimal"}


COLLECTIONS = """
import gc, sys
seen = []
gc.callbacks.append(lambda phase, about: seen.append(about["generation"]) if phase == "start" else None)
import ocattach.cli
del seen[:]
sys.argv[1:] = ["--version"]
try:
    ocattach.cli.main()
finally:
    print(len(seen), gc.get_freeze_count() > 0, file=sys.stderr)
"""


def test_a_command_searches_for_cycles_neither_as_it_loads_nor_as_it_ends() -> None:
    ran = subprocess.run([sys.executable, "-c", COLLECTIONS], check=True, capture_output=True, text=True)

    assert ran.stderr == "0 True\n"
