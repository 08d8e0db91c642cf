"""Where the real OpenCode program is, and what makes a daemon find the scripted model."""

import functools
import json
import os
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALLED = CHECKOUT / ".tools/bin/opencode"
PACKAGED = ("opencode-linux-*/bin/opencode", "opencode-darwin-*/bin/opencode")
EXECUTABLE_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe")

ENVIRONMENT = {
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "npm_config_offline": "true",  # OpenCode fetches its plugin package into every new home
    "BUN_JSC_useDFGJIT": "0",  # a daemon that lives for a test spends more on compiling its code than it gains
}
"""What every daemon under test gets: nothing in a test leaves this machine."""

CONFIG_PATH = ".config/opencode/opencode.json"
"""Where OpenCode looks for a user's configuration, from the home directory."""

MODEL_PORT = 18080
"""Where the model listens in environments that have a loopback of their own."""


@functools.cache
def opencode_bin() -> str:
    """The real OpenCode executable, to be mounted or linked anywhere; LookupError says why there is none."""
    named = os.environ.get("OPENCODE_BIN") or shutil.which("opencode")
    if not named and INSTALLED.exists():
        named = str(INSTALLED)
    if not named:
        raise LookupError("no opencode: not in $OPENCODE_BIN, not on PATH, not in .tools/")
    real = Path(named).resolve()
    candidates = [real, *_packages_around(real)]
    for candidate in candidates:
        if _is_executable_image(candidate):
            return str(candidate)
    raise LookupError(f"{named} is no executable image, and no opencode package with one lies near it")


def stub_package() -> Path:
    """The npm package as it is where its postinstall script did not run; LookupError says why there is none."""
    return _variant("stub")


def musl_build() -> Path:
    """An OpenCode for musl in `bin`, and in `lib` all that it loads; LookupError says why there is none."""
    return _variant("musl")


def opencode_config(port: int = MODEL_PORT) -> str:
    """A configuration whose only provider is the scripted model on this loopback port."""
    models = {
        name: {
            "name": title,
            "tool_call": True,
            "limit": {"context": 100_000, "output": 8_000},
            "cost": {"input": 1, "output": 2},
            "modalities": {"input": ["text", *more], "output": ["text"]},
        }
        for name, title, more in (("fake-1", "Fake One", ()), ("fake-2", "Fake Two", ("image",)))
    }
    provider = {
        "name": "Fake (scripted)",
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"http://127.0.0.1:{port}/v1", "apiKey": "none"},
        "models": models,
    }
    config = {
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": False,
        "share": "disabled",
        "enabled_providers": ["fake"],
        "model": "fake/fake-1",
        "small_model": "fake/fake-2",
        "provider": {"fake": provider},
    }
    return json.dumps(config, indent=2)


def _variant(name: str) -> Path:
    folder = CHECKOUT / ".tools" / name
    if not (folder / "stamp").exists():
        raise LookupError(f"no {folder}: scripts/install-opencode-variants")
    return folder


def _packages_around(program: Path) -> list[Path]:
    """The executables of the npm packages beside the one that the wrapper script is in."""
    return [
        found
        for parent in program.parents
        for folder in (parent, parent / "node_modules")
        for pattern in PACKAGED
        for found in sorted(folder.glob(pattern))
    ]


def _is_executable_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in EXECUTABLE_MAGIC
    except OSError:
        return False
