"""Transports that other packages register as entry points."""

import sys
from pathlib import Path

import pytest

from ocattach.config.targets.registry import ENTRY_POINT_GROUP, target_class
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import UsageError
from ocattach.transports import handler_class
from tests.rigs.distributions import write_metadata

TARGET = """
from ocattach.config.targets.base import Target
from ocattach.transports.base import TransportHandler


class MachineTarget(Target):
    scheme = "vm"
    keys = {"machine": {"description": "Name of the machine.", "type": "string"}}

    def __init__(self, machine):
        self.machine = machine

    @classmethod
    def from_entry(cls, entry):
        return cls(entry["machine"])

    def to_entry(self):
        return {"machine": self.machine}

    @classmethod
    def from_uri(cls, parts):
        return cls(parts.body), None

    def uri(self, workdir=None):
        return f"vm://{self.machine}"


class MachineTransport(TransportHandler):
    scheme = "vm"
    target = MachineTarget


class WithoutTarget(TransportHandler):
    scheme = "vm"


class WithAnotherTarget(TransportHandler):
    scheme = "vm"
    target = "MachineTarget"


class NoHandler:
    target = MachineTarget
"""


class Plugin:
    """A distribution on sys.path that registers the scheme "vm"."""

    def __init__(self, site: Path) -> None:
        self._site = site
        (site / "vm_plugin.py").write_text(TARGET)
        (site / "vm_without_sdk.py").write_text("import sdk_that_is_not_installed\n")
        (site / "vm_broken.py").write_text("raise RuntimeError('no licence')\n")
        (site / "vm_with_syntax_error.py").write_text("def\n")

    def register(self, value: str) -> None:
        write_metadata(self._site, "vm-plugin", ENTRY_POINT_GROUP, {"vm": value})


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "vm_plugin", raising=False)
    return Plugin(tmp_path)


def test_another_package_can_bring_a_transport(plugin: Plugin) -> None:
    plugin.register("vm_plugin:MachineTransport")

    assert parse_uri("vm://build-7").target.to_entry() == {"machine": "build-7"}
    assert handler_class("vm").scheme == "vm"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:X", "No module named 'no_such_module'"),
        ("vm_without_sdk:X", "No module named 'sdk_that_is_not_installed'"),
        ("vm_plugin:Missing", "no attribute 'Missing'"),
        ("vm_broken:X", "RuntimeError('no licence')"),
        ("vm_with_syntax_error:X", "SyntaxError("),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_a_usage_error(plugin: Plugin, value: str, reason: str) -> None:
    plugin.register(value)

    for load in (target_class, handler_class):
        with pytest.raises(UsageError) as raised:
            load("vm")
        assert f"'vm' from the entry point {value}: " in raised.value.message
        assert reason in raised.value.message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("WithoutTarget", "no attribute 'target'"),
        ("WithAnotherTarget", "vm_plugin:WithAnotherTarget.target is not a subclass of Target"),
    ],
)
def test_a_handler_without_a_target_class_is_a_usage_error(plugin: Plugin, name: str, reason: str) -> None:
    plugin.register(f"vm_plugin:{name}")

    with pytest.raises(UsageError) as raised:
        parse_uri("vm://build-7")

    assert f"'vm' from the entry point vm_plugin:{name}: " in raised.value.message
    assert reason in raised.value.message


def test_a_class_that_is_no_transport_handler_is_a_usage_error(plugin: Plugin) -> None:
    plugin.register("vm_plugin:NoHandler")

    with pytest.raises(UsageError, match="vm_plugin:NoHandler is not a subclass of TransportHandler"):
        handler_class("vm")
