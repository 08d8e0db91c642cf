"""What a rig says when a piece of it is not fit for use."""

import struct
from pathlib import Path

import pytest

from tests.rigs import availability
from tests.rigs.availability import Unavailable, need, need_static

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


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        (("tmux",), "not installed: tmux; on Debian: apt-get install tmux"),
        (
            ("sh", "iptables", "nft"),
            "not installed: iptables, nft; on Debian: apt-get install iptables nftables",
        ),
        (("unshare", "nsenter", "ip"), "apt-get install iproute2 util-linux"),
    ],
)
def test_programs_that_are_not_on_path_are_named_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: tuple[str, ...], words: str
) -> None:
    (tmp_path / "sh").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Unavailable, match=words):
        need(*programs)


def test_a_root_that_may_not_make_namespaces_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(availability, "refused_namespaces", lambda: "unshare: Operation not permitted")

    with pytest.raises(Unavailable, match=r"root may not make namespaces here \(unshare: .*\): a container"):
        need("sh", root=True)
