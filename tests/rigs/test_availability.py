"""What a rig says when a piece of it is not fit for use."""

import struct
from pathlib import Path

import pytest

from tests.rigs.availability import Unavailable, need_static

LOAD, INTERPRETER = 1, 3


def elf(*kinds: int) -> bytes:
    """The headers of a program with segments of these kinds."""
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack(
        "<QQIHHHHHH", 64, 0, 0, 64, 56, len(kinds), 0, 0, 0
    )
    return header + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in kinds)


def test_a_program_without_a_loader_is_static(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(elf(LOAD, LOAD))

    need_static(program, "busybox-static")


@pytest.mark.parametrize(
    "content", [elf(LOAD, INTERPRETER), b"#!/bin/sh\n", b""], ids=["dynamic", "script", "empty"]
)
def test_any_other_program_is_refused_with_the_package_to_install(tmp_path: Path, content: bytes) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(content)

    with pytest.raises(Unavailable, match=r"busybox is not statically linked: .* busybox-static"):
        need_static(program, "busybox-static")


def test_an_absent_program_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no .*busybox: install the package busybox-static"):
        need_static(tmp_path / "busybox", "busybox-static")
