"""The keys of entries that all transports share, and the variables that entries cannot set."""

from collections.abc import Mapping

from ocattach.config.files.entry import Schema
from ocattach.config.targets import key_types
from ocattach.config.targets.rules import check_variable
from ocattach.errors import UsageError

OUR_VARIABLES = ("OPENCODE_SERVER_PASSWORD", "OPENCODE_SERVER_USERNAME")
OUR_PREFIX = "OCATTACH_"
"""Variables with these names and prefix configure the daemon or ocattach itself, so an entry cannot set them."""

FREE_VARIABLE = f"^(?!{OUR_PREFIX}|({'|'.join(OUR_VARIABLES)})$){key_types.VARIABLE}$"

COMMON_KEYS: Mapping[str, Schema] = {
    "transport": {"description": "Kind of environment."},
    "workdir": key_types.string(
        "Working directory of the agent in the environment: absolute, or below the home directory (~/).",
        f"^(~|(~/|/){key_types.PRINTABLE}*)$",
        "/app",
        "~/src",
    ),
    "daemon_port": key_types.port("Port of the daemon; without it, any port."),
    "port": key_types.port("Port of the daemon; same as daemon_port."),
    "opencode": key_types.text(
        "Path of the opencode program in the environment, if it is not on PATH or in a usual directory.",
        "/opt/opencode/bin/opencode",
    ),
    "env": key_types.table(
        "Variables that a daemon is started with. Do not put secrets here: this file is shared.",
        FREE_VARIABLE,
        {"type": ["string", "integer"]},
    ),
    "unset_env": key_types.array(
        "Names of variables that are removed when a daemon is started, such as those of a proxy.",
        f"^{key_types.VARIABLE}$",
    ),
    "forward_env": key_types.array(
        "Names of variables of the user's machine that are passed to a daemon when it is started, such as an "
        "API key. Their values are never written to a file.",
        FREE_VARIABLE,
        ["ANTHROPIC_API_KEY"],
    ),
    "description": key_types.string("Description, shown to users.", f"^{key_types.PRINTABLE}*$"),
}
"""The keys of every transport, with their JSON Schema. For ssh, `port` is the port of the ssh server instead."""


def check_environment(name: str, value: str) -> None:
    """Raise UsageError for a variable that is invalid or reserved."""
    check_variable(name, "env")
    check_not_ours(name, "env")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(f"env: {name} contains a character that a variable cannot hold")


def check_not_ours(name: str, what: str) -> None:
    """Raise UsageError for a variable that only ocattach sets."""
    if name in OUR_VARIABLES or name.startswith(OUR_PREFIX):
        raise UsageError(f"{what}: {name} is set by ocattach itself")
