"""What a rig needs, and what happens to a test when it is not there: a skip, or in CI a failure."""

import functools
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED_VARIABLE = "OCATTACH_TEST_REQUIRE"
ELF_HEADER_BYTES = 64
PT_INTERP = 3
"""The kind of a program header that names the loader (elf(5))."""


class Unavailable(Exception):  # noqa: N818  it is a fact about this machine, not an error of the rig
    """This machine cannot have the rig, and why."""


PACKAGES = {
    "Xvfb": "xvfb",
    "chromedriver": "chromium-driver",
    "dbus-run-session": "dbus",
    "docker-init": "docker.io",
    "dockerd": "docker.io",
    "dropbear": "dropbear-bin",
    "dropbearconvert": "dropbear-bin",
    "ip": "iproute2",
    "kadmin.local": "krb5-admin-server",
    "kdb5_util": "krb5-kdc",
    "kinit": "krb5-user",
    "ksh93": "ksh93u+m",
    "krb5kdc": "krb5-kdc",
    "ldd": "libc-bin",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "notify-send": "libnotify-bin",
    "newuidmap": "uidmap",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "softhsm2-util": "softhsm2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
"""Packages of Debian whose name is not that of the program."""


def need(*programs: str, root: bool = False) -> None:
    """Raise Unavailable unless every program is on PATH, and where asked we are root and may make namespaces."""
    if root and os.geteuid() != 0:
        raise Unavailable("needs root, for namespaces and mounts")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = sorted({PACKAGES.get(Path(program).name, Path(program).name) for program in missing})
        raise Unavailable(
            f"not installed: {', '.join(missing)}; on Debian: apt-get install {' '.join(packages)}"
        )
    if root and (refusal := refused_namespaces()):
        raise Unavailable(f"root may not make namespaces here ({refusal}): a container has to be privileged")


@functools.cache
def refused_namespaces() -> str:
    """What unshare(1) prints where this root may not make namespaces and mount in them; else nothing."""
    argv = ["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as error:
        return str(error)


def need_static(program: Path, package: str) -> None:
    """Raise Unavailable unless the program is there and runs in an image without any library."""
    if not program.exists():
        raise Unavailable(f"there is no {program}: install the package {package}")
    if not is_static(program):
        raise Unavailable(f"{program} is not statically linked: install the package {package}")


def is_static(program: Path) -> bool:
    """Whether it is an ELF file for 64 bits, little-endian, that names no loader."""
    content = program.read_bytes()
    if content[:6] != b"\x7fELF\x02\x01" or len(content) < ELF_HEADER_BYTES:
        return False
    (first,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = [struct.unpack_from("<I", content, first + number * size)[0] for number in range(count)]
    return PT_INTERP not in kinds


def is_required(name: str) -> bool:
    """Whether OCATTACH_TEST_REQUIRE, a list with commas, names this rig."""
    return name in os.environ.get(REQUIRED_VARIABLE, "").split(",")


@contextmanager
def require(name: str) -> Iterator[None]:
    """Skip the test when the rig built inside is unavailable; fail it where the rig is required.

    Only Unavailable is turned into a skip: a rig that breaks is an error.
    """
    try:
        yield
    except Unavailable as reason:
        if is_required(name):
            pytest.fail(f"{name} is required here ({REQUIRED_VARIABLE}), but: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")
