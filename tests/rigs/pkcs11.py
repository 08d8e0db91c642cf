"""A smart card in software (SoftHSM), with a key on it and a PIN before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.availability import Unavailable, need
from tests.rigs.namespaces import run

PIN = "4711-0815"
LABEL = "card of tests"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
CONFIGURATION = "directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"


@dataclass(frozen=True, slots=True)
class SmartCard:
    """A card with one key."""

    module: Path
    """The library for ssh's PKCS11Provider."""

    key: Path
    """Where the public half is, with .pub; there is no private one outside of the card."""

    environment: Mapping[str, str]
    """What the library needs to find the card."""


def smart_card(folder: Path) -> SmartCard:
    """A new card, kept in a folder."""
    need("softhsm2-util", "env", "ssh-keygen")
    module = next((Path(name) for name in MODULES if Path(name).exists()), None)
    if module is None:
        raise Unavailable("not installed: libsofthsm2.so")
    tokens = folder / "tokens"
    tokens.mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(CONFIGURATION.format(tokens=tokens))
    tool = ("env", f"SOFTHSM2_CONF={configuration}", "softhsm2-util", "--pin", PIN)
    run(*tool, "--init-token", "--free", "--label", LABEL, "--so-pin", PIN)
    key = folder / "card"
    run("ssh-keygen", "-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "", "-f", key)
    run(*tool, "--import", key, "--token", LABEL, "--label", "key", "--id", "01")
    key.unlink()
    return SmartCard(module, key, {"SOFTHSM2_CONF": str(configuration)})
