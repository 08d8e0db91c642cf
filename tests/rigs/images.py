"""Container images made from this machine's own files, so that no registry is needed.

minimal  busybox and the C library that OpenCode links to; OpenCode itself is mounted into the container
bare     busybox only: OpenCode is not there, and could not run
musl     busybox and musl, with what an OpenCode for musl loads; it is mounted into the container
pause    one program that waits: no shell, no other command
"""

import functools
import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile
from pathlib import Path

from tests.rigs.opencode import musl_build, opencode_bin

VARIANTS = ("minimal", "bare", "musl", "pause")
BUSYBOX = Path("/bin/busybox")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OPENCODE_PATH = "/usr/local/bin/opencode"
USER, USER_ID = "user", 1000
HOMES = {"root": "/root", USER: f"/home/{USER}"}
CREATED = "2020-01-01T00:00:00Z"

FOLDERS = ("bin", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root", "run", "sys", "usr", "var")
MORE_FOLDERS = ("usr/bin", "usr/local", "usr/local/bin")
PASSWD = f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/sh\n"
GROUP = f"root:x:0:\n{USER}:x:{USER_ID}:\n"


def reference(variant: str) -> str:
    """The name under which an engine knows the variant once its archive is loaded."""
    return f"localhost/ocattach/{variant}:1"


@functools.cache
def archive(variant: str) -> bytes:
    """The variant as an archive for `docker load` and `podman load`."""
    layer = _layer(variant)
    digest = hashlib.sha256(layer).hexdigest()
    command = ["/sleep", "2000000000"] if variant == "pause" else ["/bin/sleep", "2000000000"]
    config = {
        "architecture": _architecture(),
        "os": "linux",
        "created": CREATED,
        "config": {"Env": [f"PATH={SEARCH_PATH}"], "Cmd": command, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED}],
    }
    config_bytes = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [reference(variant)], "Layers": [layer_name]}]
    tree = Tree()
    tree.file(config_name, config_bytes)
    tree.file(layer_name, layer)
    tree.file("manifest.json", json.dumps(manifest).encode())
    return tree.close()


class Tree:
    """A tar archive under construction, from the few kinds of entries that an image needs."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115  closed by close()

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        entry = _entry(name, mode, owner)
        entry.type = tarfile.DIRTYPE
        self._tar.addfile(entry)

    def link(self, name: str, target: str) -> None:
        entry = _entry(name, 0o777, 0)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(entry)

    def file(self, name: str, content: bytes, mode: int = 0o644, owner: int = 0) -> None:
        entry = _entry(name, mode, owner)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def close(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


def _entry(name: str, mode: int, owner: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.uid, entry.gid = mode, owner, owner
    return entry


def _layer(variant: str) -> bytes:
    if variant not in VARIANTS:
        raise ValueError(f"no image {variant!r}, only {', '.join(VARIANTS)}")
    tree = Tree()
    for folder in (*FOLDERS, *MORE_FOLDERS):
        tree.folder(folder)
    tree.folder(f"home/{USER}", owner=USER_ID)
    for folder in ("tmp", "work"):
        tree.folder(folder, mode=0o1777)
    tree.file("etc/passwd", PASSWD.encode())
    tree.file("etc/group", GROUP.encode())
    tree.file("etc/nsswitch.conf", b"hosts: files\n")
    if variant == "pause":
        # Busybox does what its name says: called sleep, it can do nothing else.
        tree.file("sleep", BUSYBOX.read_bytes(), mode=0o755)
    else:
        _add_busybox(tree)
    if variant == "minimal":
        _add_libraries(tree)
    if variant == "musl":
        _add_musl(tree)
    return tree.close()


def _add_busybox(tree: Tree) -> None:
    tree.file("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
    listing = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in listing.split():
        if applet != "busybox":
            tree.link(f"bin/{applet}", "busybox")


def _add_libraries(tree: Tree) -> None:
    for library in libraries(opencode_bin()):
        # The loader's path is written into the program; the rest is found by name.
        folder = library.parent.name if library.name.startswith("ld-linux") else "lib"
        tree.file(f"{folder}/{library.name}", library.resolve().read_bytes(), mode=0o755)
    tree.file(OPENCODE_PATH.lstrip("/"), b"", mode=0o755)  # to be mounted over


def _add_musl(tree: Tree) -> None:
    for library in (musl_build() / "lib").iterdir():
        if library.is_symlink():
            tree.link(f"lib/{library.name}", str(library.readlink()))
        else:
            tree.file(f"lib/{library.name}", library.read_bytes(), mode=0o755)
    tree.file(OPENCODE_PATH.lstrip("/"), b"", mode=0o755)  # to be mounted over


def libraries(program: str) -> list[Path]:
    """The shared libraries that a program loads."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return sorted({Path(path) for path in re.findall(r"(/\S+)", listing)})


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
