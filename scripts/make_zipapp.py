"""Make one file of ocattach and all that it imports: `make zipapp`.

It is for this kind of machine, and for each VERSION of Python, by default all that are supported. Packages have the
releases and hashes of uv.lock, and equal sources give equal files. `zipapp/__main__.py` is what runs first.
"""

import argparse
import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipapp
from collections.abc import Iterable, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from scripts.locked_requirements import locked_requirements
from scripts.zipapp.__main__ import COMMON, this_build

CHECKOUT = Path(__file__).parents[1]
FIRST = CHECKOUT / "scripts/zipapp/__main__.py"
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
NOT_IMPORTED = {"bin", "share", "__pycache__"}
"""What pip installs besides packages, and what Python writes itself."""

Files = Mapping[str, bytes]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Make one file of ocattach and all that it imports.")
    parser.add_argument("--wheel", type=Path, help="a wheel of ocattach; without, one is built")
    parser.add_argument(
        "--python", action="append", metavar="VERSION", help="such as 3.12, for one or several"
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel or build_wheel(Path(folder))
        versions = arguments.python or SUPPORTED
        installed = {build(version): packages(wheel, version, Path(folder)) for version in versions}
    write(arguments.file, installed)
    size = arguments.file.stat().st_size / 2**20
    sys.stdout.write(f"Made {arguments.file}, {size:.1f} MiB, for {', '.join(installed)}\n")


def build_wheel(folder: Path) -> Path:
    """Build the wheel, by the builder in this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def build(version: str) -> str:
    """Return how the first program names a Python of this kind of machine: cpython-311-x86_64-linux-gnu-x86_64."""
    return re.sub(r"-\d+", f"-{version.replace('.', '')}", this_build(), count=1)


def packages(wheel: Path, version: str, folder: Path) -> Files:
    """Return the files that pip installs of the wheel and its requirements, for a version of Python."""
    target = folder / version
    requirements = folder / f"{version}.txt"
    requirements.write_text("\n".join(locked_requirements(python=version)))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    where = ["--no-deps", "--target", str(target), "--python-version", version, *platforms()]
    binary = ["--only-binary", ":all:"]
    subprocess.run(
        [*pip, *where, *binary, "--require-hashes", "--requirement", str(requirements)], check=True
    )
    subprocess.run([*pip, *where, "--no-index", *binary, str(wheel)], check=True)
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file() and not NOT_IMPORTED.intersection(path.relative_to(target).parts)
    }


def platforms() -> list[str]:
    """Return pip's options for wheels that also run on machines with an older C library than this one's."""
    if "gnu" not in build(SUPPORTED[0]):
        return []
    machine = os.uname().machine
    kinds = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
    return [word for kind in kinds for word in ("--platform", f"{kind}_{machine}")]


def write(file: Path, installed: Mapping[str, Files]) -> None:
    """Write the archive: in it an archive of what all builds have, and one for each of the rest."""
    first, *others = installed.values()
    common = {name: content for name, content in first.items() if all(o.get(name) == content for o in others)}
    parts = {COMMON: archive(common.items())} | {
        f"{name}.zip": archive((path, files[path]) for path in files.keys() - common.keys())
        for name, files in installed.items()
    }
    digest = hashlib.sha256(b"".join(parts.values())).hexdigest()[:16]
    constants = f"BUILDS = {tuple(installed)!r}\nDIGEST = {digest!r}\n"
    start = {"__main__.py": FIRST.read_bytes(), "builds.py": constants.encode()}
    file.parent.mkdir(parents=True, exist_ok=True)
    zipapp.create_archive(io.BytesIO(archive([*start.items(), *parts.items()])), file, "/usr/bin/env python3")
    file.chmod(0o755)


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of files that depends on nothing else."""
    written = io.BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as zipped:
        for name, content in sorted(files):
            entry = ZipInfo(name)
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content, ZIP_STORED if name.endswith(".zip") else ZIP_DEFLATED)
    return written.getvalue()


if __name__ == "__main__":
    main()
