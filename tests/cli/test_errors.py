"""Every error is one document, one exit code and a next step, whatever command meets it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ocattach import errors

CLASSES = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, errors.OcattachError)
]
WITHOUT_NEXT_STEP = {errors.NotTrustedError, errors.InterruptedByUserError}
"""Their way on is the person's own decision."""

RAISING = """\
import sys
from ocattach import errors
from ocattach.cli.main import main
from ocattach.cli.commands import attach
def broken(options): raise getattr(errors, {name!r})("it broke")
attach.resolve_target = broken
main([sys.argv[1], "--print-url", *sys.argv[2:]])
"""
COMMAND = re.compile(r"(ocattach|ssh|docker|podman|kubectl|chmod|ls|rm|npm|export|curl|tail) \S|--[a-z]")


@pytest.fixture
def variables(workdir: Path) -> Mapping[str, str]:
    return {
        "HOME": str(workdir),
        "PATH": "/usr/bin:/bin",
        "OCATTACH_CONFIG_DIR": str(workdir / "config"),
        "OCATTACH_STATE_DIR": str(workdir / "state"),
        "OCATTACH_RUNTIME_DIR": str(workdir / "run"),
        "DOCKER_HOST": f"unix://{workdir}/none.sock",
        "CONTAINER_HOST": f"unix://{workdir}/none.sock",
        "KUBECONFIG": str(workdir / "none"),
    }


def run(variables: Mapping[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=variables,
        cwd=variables["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ocattach(variables: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(variables, sys.executable, "-m", "ocattach", *arguments)


def only_document(text: str) -> dict[str, Any]:
    """The one JSON document; ValueError where there is another, or anything else."""
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_is_its_code_one_document_and_a_next_step(
    kind: type[errors.OcattachError], variables: Mapping[str, str]
) -> None:
    code = RAISING.format(name=kind.__name__)
    ran = run(variables, sys.executable, "-c", code, "docker://www-app", "-o", "json")

    assert ran.returncode == kind.exit_code
    error = only_document(ran.stdout)["error"]
    assert (error["code"], error["message"]) == (kind.code, "it broke")
    assert bool(COMMAND.search(error["hint"])) == (kind not in WITHOUT_NEXT_STEP)
    assert not ran.stderr


def test_an_error_about_a_connection_leads_to_the_ladder_or_the_log(variables: Mapping[str, str]) -> None:
    for name, command in (("ConnectionLostError", "doctor"), ("CrashLoopError", "logs")):
        ran = run(variables, sys.executable, "-c", RAISING.format(name=name), "docker://www app")
        assert ran.stderr.splitlines()[-1].endswith(f"ocattach {command} 'docker://www app'")


def scenes() -> Iterator[tuple[tuple[str, ...], int]]:
    """Command lines that go wrong on a machine without engines, and how."""
    nothing = ("nothing",)
    for options in ((), ("--print-url",), ("--disconnect",), ("--stop",)):
        yield (*nothing, *options), 3
    yield ("logs", "nothing"), 3
    yield ("explain", "nothing"), 3
    yield ("doctor", "nothing"), 3
    yield ("--remove", "nothing"), 3
    yield ("--save", "name"), 2
    yield ("--save", "-name", "local://"), 2
    yield ("--save", "doctor", "local://"), 2
    yield ("--disconnect",), 2
    yield ("--stop",), 2
    yield ("--list", "--remove", "name"), 2
    yield ("--no-such-option",), 2
    yield ("one", "two"), 2
    yield (), 2
    yield ("logs",), 2
    yield ("explain",), 2
    yield ("doctor", "one", "two"), 2
    yield ("-v", "doctor", "one"), 2
    yield ("docker://www-app:relative", "--print-url"), 2
    yield ("docker://www-app", "--identity", "key", "--print-url"), 2
    yield ("nothing://www-app",), 2
    yield ("docker://www-app", "--print-url"), 6
    yield ("doctor", "docker://www-app"), 6
    yield ("logs", "docker://www-app"), 6
    yield ("podman://www-app", "--print-url"), 6
    yield ("k8s://www-app", "--print-url"), 2
    yield ("http://127.0.0.1:9", "--print-url"), 6
    yield ("ssh://127.0.0.1:9", "--print-url"), 6


@pytest.mark.parametrize(("arguments", "code"), [*scenes()], ids=str)
def test_a_command_that_fails_prints_one_document_with_a_next_step(
    arguments: tuple[str, ...], code: int, variables: Mapping[str, str]
) -> None:
    ran = ocattach(variables, *arguments, "-o", "json")

    assert code == ran.returncode, ran.stdout + ran.stderr
    document = only_document(ran.stdout)
    assert document["schema"] == 1
    hint = document["error"]["hint"]
    is_about_what_was_typed = code == errors.UsageError.exit_code
    assert hint if is_about_what_was_typed else COMMAND.search(hint), document


@pytest.mark.parametrize(
    "arguments",
    [("--list",), ("--status",), ("--disconnect", "--all"), ("doctor",), ("explain", "docker://www-app")],
    ids=" ".join,
)
def test_a_command_that_works_prints_one_document(
    arguments: tuple[str, ...], variables: Mapping[str, str], workdir: Path
) -> None:
    program = workdir / "bin/opencode"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1.18.33\n")
    program.chmod(0o755)
    path = f"{program.parent}:{variables['PATH']}"
    ran = ocattach({**variables, "PATH": path}, *arguments, "-o", "json")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert only_document(ran.stdout)["schema"] == 1


def test_saving_and_removing_print_one_document(variables: Mapping[str, str]) -> None:
    saved = ocattach(variables, "--save", "www", "docker://www-app:/app", "-o", "json")
    removed = ocattach(variables, "--remove", "www", "-o", "json")

    assert only_document(saved.stdout)["saved"]["name"] == "www"
    assert only_document(removed.stdout)["removed"] == "www"


def test_a_defect_is_a_document_too(variables: Mapping[str, str]) -> None:
    code = RAISING.replace("getattr(errors, {name!r})", "RuntimeError")
    ran = run(variables, sys.executable, "-c", code, "docker://www-app", "-o", "json")

    assert ran.returncode == 1
    assert "defect.log" in only_document(ran.stdout)["error"]["hint"]


@pytest.mark.parametrize(
    "form", [["-o", "json"], ["-ojson"], ["--output", "json"], ["--output=json"], ["-qo", "json"]]
)
def test_json_is_understood_in_each_form_also_where_the_rest_is_not(
    form: list[str], variables: Mapping[str, str]
) -> None:
    assert only_document(ocattach(variables, "--no-such-option", *form).stdout)["error"]["code"] == "usage"


@pytest.mark.parametrize("command", ["", "doctor", "explain", "logs", "completion"])
def test_help_opens_with_what_it_is_for_and_examples(command: str, variables: Mapping[str, str]) -> None:
    lines = ocattach(variables, *command.split(), "--help").stdout.splitlines()
    examples = lines.index("Examples:")

    assert examples <= 3
    assert lines[examples + 1].lstrip().startswith(("ocattach", "eval"))
    assert examples < next(number for number, line in enumerate(lines) if line.startswith("Usage:"))


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_keeps_its_class_across_processes(kind: type[errors.OcattachError]) -> None:
    record = json.loads(json.dumps(kind("it broke", hint="mend it").to_json()))

    error = errors.OcattachError.from_json(record)

    assert type(error) is kind
    assert error.to_json() == record


def test_an_error_of_a_later_version_keeps_its_code() -> None:
    record: dict[str, str | int] = {"code": "unheard-of", "message": "it broke", "hint": "", "exit_code": 9}

    assert errors.OcattachError.from_json(record).to_json() == record


def test_two_errors_cannot_have_one_code() -> None:
    with pytest.raises(TypeError, match="unreachable"):
        type("OtherError", (errors.OcattachError,), {}, code="unreachable")


@pytest.mark.parametrize(
    "arguments", [("--list",), ("explain", "ssh://h"), ("explain", "ssh://h", "-o", "json")]
)
def test_closed_streams_and_full_disks_are_no_defects(
    variables: Mapping[str, str], arguments: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "ocattach", *arguments]
    for streams in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        ran = run(variables, "sh", "-c", f'exec "$@" {streams}', "sh", *command)
        assert ran.returncode == 0, (streams, ran.stderr)
        assert "bug" not in ran.stderr
    run(variables, *command[:3], "--save", "frontend", "docker://web-app")
    full = run(variables, "sh", "-c", 'exec "$@" >/dev/full', "sh", *command)
    failed = run(variables, "sh", "-c", 'exec "$@" >/dev/full', "sh", *command[:3], "no-such", "-o", "json")
    silent = run(variables, "sh", "-c", 'exec "$@" 2>/dev/full', "sh", *command[:3], "no-such")

    assert (full.returncode, failed.returncode, silent.returncode) == (1, 1, 1)
    assert failed.stderr == "ocattach: Cannot write the output: No space left on device\n"
    assert full.stderr.endswith(failed.stderr)


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e308", "0", "-1", "soon"])
def test_a_timeout_is_a_number_of_seconds(variables: Mapping[str, str], seconds: str) -> None:
    ran = ocattach(variables, "local://", "--no-start", "--print-url", "--timeout", seconds)

    assert (ran.returncode, "--timeout" in ran.stderr) == (2, True)
