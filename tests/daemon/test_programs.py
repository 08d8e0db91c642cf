"""An opencode that is there and cannot run is told from one that is not installed, with what helps."""

import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonStartError, OpencodeIncompatibleError, OpencodeNotFoundError
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from tests.daemon.conftest import MakeBox
from tests.environments.environment import ask_nobody
from tests.rigs.availability import need, require
from tests.rigs.images import OPENCODE_PATH
from tests.rigs.local import LocalMachine
from tests.rigs.opencode import opencode_bin

PACKAGE = "/usr/local/lib/node_modules/opencode-ai"
FIRST_BYTES = 4096


def beginning(**changes: bytes) -> bytes:
    """The first bytes of the real program, as those of one for another system."""
    text = bytearray(Path(opencode_bin()).read_bytes()[:FIRST_BYTES])
    text[0:4] = changes.get("magic", bytes(text[0:4]))
    text[18:19] = changes.get("machine", bytes(text[18:19]))
    return bytes(text).replace(b"/lib64/ld-linux-x86-64.so.2\0", changes.get("loader", b"") or b"\0" * 28)


def test_a_program_for_glibc_where_there_is_none_is_told_with_the_package_for_musl(box: MakeBox) -> None:
    with (
        box("bare", mount={OPENCODE_PATH: opencode_bin()}) as app,
        pytest.raises(OpencodeIncompatibleError) as failure,
    ):
        app.start()

    assert "built for glibc, whose loader /lib64/ld-linux-x86-64.so.2 does not exist" in failure.value.message
    assert "opencode-linux-x64-musl" in failure.value.hint
    assert "apk add libstdc++ libgcc" in failure.value.hint


def test_a_program_for_musl_where_there_is_none_is_told_with_the_usual_package(
    box: MakeBox, musl_build: Path
) -> None:
    with (
        box(opencode=False, mount={OPENCODE_PATH: f"{musl_build}/bin/opencode"}) as app,
        pytest.raises(OpencodeIncompatibleError) as failure,
    ):
        app.start()

    assert "built for musl, whose loader /lib/ld-musl-x86_64.so.1 does not exist" in failure.value.message
    assert "Install opencode-linux-x64 in the environment" in failure.value.hint


def test_a_program_for_musl_runs_where_there_is_musl_alone(box: MakeBox, musl_build: Path) -> None:
    with (
        box("musl", mount={OPENCODE_PATH: f"{musl_build}/bin/opencode"}) as app,
        app.handler() as handler,
    ):
        started = handler.start_daemon()
        assert started.port
        with handler.connect(started.port) as tunnel:
            address = f"{tunnel.url}/global/health"
            answer = subprocess.run(
                ["curl", "-s", "-m", "5", "--noproxy", "*", "-w", "%{http_code}", address],
                capture_output=True,
                text=True,
                check=True,
            )

        assert answer.stdout == "401"
        assert handler.stop_daemon() == started.daemon.pid if started.daemon else None


def test_the_library_that_a_program_lacks_is_told(box: MakeBox, musl_build: Path) -> None:
    loader = "/lib/ld-musl-x86_64.so.1"
    files = {OPENCODE_PATH: f"{musl_build}/bin/opencode", loader: f"{musl_build}{loader}"}
    with box("bare", mount=files) as app, pytest.raises(OpencodeIncompatibleError) as failure:
        app.start()

    assert "needs the library libstdc++.so.6" in failure.value.message
    assert "apk add libstdc++ libgcc" in failure.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"machine": b"\xb7", "loader": b"/lib/ld-linux-aarch64.so.1\0\0"},
            "another processor (/lib/ld-linux-aarch64.so.1) than x86_64",
        ),
        ({"magic": b"\xcf\xfa\xed\xfe"}, "another operating system"),
        ({"magic": b"MZ\x90\0"}, "another operating system"),
        (b"#!/usr/bin/env node\n", "script for node, which does not exist"),
        (b"#!/opt/none/node\n", "script for /opt/none/node, which does not exist"),
        (b"", "empty file"),
    ],
    ids=["arm64", "macos", "windows", "env-script", "script", "empty"],
)
def test_a_program_that_cannot_run_is_told_with_the_reason(
    box: MakeBox, content: bytes | Mapping[str, bytes], reason: str
) -> None:
    with box("bare") as app:
        app.write("/usr/bin/env", b"#!/bin/sh\n")
        app.write("/usr/bin/opencode", content if isinstance(content, bytes) else beginning(**content))
        with pytest.raises(OpencodeIncompatibleError) as failure:
            app.start()

    assert f"{reason}: /usr/bin/opencode" in failure.value.message
    assert "npm install -g opencode-ai" in failure.value.hint


def test_a_program_that_may_not_be_run_is_told_with_the_command_that_allows_it(box: MakeBox) -> None:
    with box("bare") as app:
        app.write("/usr/bin/opencode", beginning(), mode=0o644)
        with pytest.raises(OpencodeIncompatibleError) as failure:
            app.start()

    assert "not executable: /usr/bin/opencode" in failure.value.message
    assert "chmod +x /usr/bin/opencode" in failure.value.hint


def test_a_link_that_leads_nowhere_is_told(box: MakeBox) -> None:
    with box("bare") as app:
        app.link("/usr/bin/opencode", "/opt/gone/opencode")
        with pytest.raises(OpencodeIncompatibleError, match="broken symbolic link: /usr/bin/opencode"):
            app.start()


def test_what_cannot_run_does_not_hide_what_can(box: MakeBox) -> None:
    with box(mount={"/root/.opencode/bin/opencode": opencode_bin()}, opencode=False) as app:
        app.write("/usr/bin/opencode", beginning(magic=b"MZ\x90\0"))

        assert app.program() == "/root/.opencode/bin/opencode"


def test_the_stub_of_npm_is_told_with_the_command_that_mends_it(box: MakeBox, stub_package: Path) -> None:
    with box("bare", mount={PACKAGE: str(stub_package)}) as app:
        app.link("/usr/local/bin/opencode", "../lib/node_modules/opencode-ai/bin/opencode.exe")
        with pytest.raises(OpencodeIncompatibleError) as failure:
            app.start()

    assert "npm's stub" in failure.value.message
    assert failure.value.hint.endswith(f"node {PACKAGE}/postinstall.mjs")


@pytest.mark.parametrize("folder", [f"{PACKAGE}/node_modules", str(Path(PACKAGE).parent)])
def test_the_program_that_npm_installed_for_its_stub_is_used(
    box: MakeBox, stub_package: Path, folder: str
) -> None:
    program = f"{folder}/opencode-linux-x64/bin/opencode"
    with box(opencode=False, mount={program: opencode_bin()}) as app:
        stub = stub_package / "bin/opencode.exe"
        app.write(f"{PACKAGE}/bin/opencode.exe", stub.read_bytes())
        app.link("/bin/opencode", f"{PACKAGE}/bin/opencode.exe")

        assert app.program() == program
        assert app.start().started


def test_the_command_that_is_told_mends_a_stub(
    local: LocalMachine, stub_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with require("variants"):
        need("node")
    for name, value in local.environment.items():
        monkeypatch.setenv(name, value)
    modules = local.home / "lib/node_modules"
    package = modules / "opencode-ai"
    shutil.copytree(stub_package, package)
    spec = ConnectionSpec.from_entry({"transport": "local", "opencode": f"{package}/bin/opencode.exe"})
    with open_handler(spec, ask=ask_nobody, timeout=30) as handler:
        assert isinstance(handler, CommandTransport)
        with pytest.raises(OpencodeIncompatibleError) as failure:
            handler.start_daemon()
        for kind in ("x64", "x64-baseline", "arm64"):
            program = modules / f"opencode-linux-{kind}/bin/opencode"
            program.parent.mkdir(parents=True)
            program.symlink_to(opencode_bin())
            (program.parents[1] / "package.json").write_text("{}")
        command = failure.value.hint.partition(": ")[2]
        subprocess.run(shlex.split(command), check=True)

        assert handler.probe().opencode == f"{package}/bin/opencode.exe"


def test_a_stub_behind_a_script_is_told_once_it_was_run(box: MakeBox, stub_package: Path) -> None:
    with box("bare", mount={PACKAGE: str(stub_package)}) as app:
        app.write("/usr/bin/opencode", f'#!/bin/sh\nexec {PACKAGE}/bin/opencode.exe "$@"\n'.encode())
        with pytest.raises(OpencodeIncompatibleError) as failure:
            app.start()

    assert "npm's stub" in failure.value.message
    assert "npm rebuild -g opencode-ai" in failure.value.hint


def test_a_processor_that_lacks_what_a_program_needs_is_told(box: MakeBox) -> None:
    with box("bare") as app:
        app.write("/usr/bin/opencode", b"#!/bin/sh\nkill -ILL $$\n")
        with pytest.raises(OpencodeIncompatibleError) as failure:
            app.start()

    assert "does not support this processor" in failure.value.message
    assert "opencode-linux-x64-baseline" in failure.value.hint


def test_a_program_that_ends_at_once_is_told_with_its_exit_code_and_last_words(box: MakeBox) -> None:
    with box("bare") as app:
        app.write("/usr/bin/opencode", b"#!/bin/sh\necho no such thing today\nexit 3\n")
        with pytest.raises(DaemonStartError) as failure:
            app.start()

    assert "exit code 3" in failure.value.message
    assert "no such thing today" in failure.value.message


def test_a_path_in_the_connection_is_the_only_one_that_counts(box: MakeBox) -> None:
    with box(opencode=False, mount={"/root/tools/opencode": opencode_bin()}) as app:
        assert app.program(opencode="~/tools/opencode") == "/root/tools/opencode"
        with pytest.raises(OpencodeNotFoundError) as failure:
            app.start(opencode="~/tools/none")

    assert failure.value.message.endswith("does not exist: /root/tools/none")


def test_a_daemon_that_runs_lends_its_program_where_none_is_found(box: MakeBox) -> None:
    script = (
        "HOME=/root /opt/tools/opencode serve --port 4700 >/work/log 2>&1 &"
        "until grep -q listening /work/log; do sleep 0.1; done"
    )
    with box(opencode=False, mount={"/opt/tools/opencode": opencode_bin()}) as app, app.handler() as handler:
        app.container.run("timeout", "30", "sh", "-c", script)
        found = handler.check_daemon_running()

        assert found.port == 4700
        assert handler.probe().opencode == "/opt/tools/opencode"
        with handler.connect(4700) as tunnel:
            answer = subprocess.run(
                ["curl", "-s", "-m", "5", "--noproxy", "*", f"{tunnel.url}/global/health"],
                capture_output=True,
                check=True,
            )
        assert b'"healthy":true' in answer.stdout
