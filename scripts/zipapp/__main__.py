"""What runs first in `python3 ocattach.pyz`: it unpacks ocattach, the first time, and becomes it.

Compiled modules cannot be imported from an archive. They go to the user's cache, into a virtual environment of the
Python that runs this: whatever ocattach starts by `sys.executable` has them, without a variable that others inherit.
Pythons that are too old read this file, too, in order to say so.
"""

import os
import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES

COMMON = "common.zip"
FAILURE = 1
OLDEST = (3, 11)
WRITABLE_BY_OTHERS = 0o022


def main() -> None:
    """Become ocattach, with the arguments of this process."""
    from builds import BUILDS, DIGEST  # type: ignore[import-not-found]  # noqa: PLC0415 - only in the archive

    archive = os.path.dirname(os.path.abspath(__file__))
    build = this_build()
    if build not in BUILDS:
        fail(*unfit(archive, build, BUILDS))
    place = cache()
    directory = os.path.join(place, f"{DIGEST}-{interpreter(build)}")
    try:
        check_private(place)
        if not os.path.isdir(directory):
            unpack(archive, build, directory)
    except OSError as error:
        fail(f"{archive} cannot be unpacked: {error}", "Set XDG_CACHE_HOME to a directory of your own")
    python = os.path.join(directory, "bin", "python")
    os.execv(python, [python, "-P", "-m", "ocattach", *sys.argv[1:]])  # noqa: S606


def this_build() -> str:
    """Return what compiled modules must be made for, and the machine: cpython-311-x86_64-linux-gnu-x86_64."""
    return f"{EXTENSION_SUFFIXES[0].split('.')[1]}-{os.uname().machine}"


def interpreter(build: str) -> str:
    """Return a name for this Python, to which the virtual environment refers by its path."""
    from binascii import crc32  # noqa: PLC0415 - only in an archive that fits

    path = getattr(sys, "_base_executable", sys.executable)
    return f"{build.split('-')[1]}-{crc32(os.fsencode(path)):08x}"


def cache() -> str:
    """Return the directory of what was unpacked, without symbolic links: whoever made one could replace it."""
    usual = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    given = os.environ.get("XDG_CACHE_HOME", "")
    return os.path.realpath(os.path.join(given if os.path.isabs(given) else usual, "ocattach"))


def check_private(directory: str) -> None:
    """Make the directory if it is missing. Raises OSError if another user could put programs there."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    found = os.stat(directory)
    if found.st_uid != os.getuid() or found.st_mode & WRITABLE_BY_OTHERS:
        raise OSError(f"{directory} belongs to another user, or others can write to it")
    parent = os.path.dirname(directory)
    while parent != os.path.dirname(parent):
        if os.stat(parent).st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            raise OSError(f"{parent} can be written to by others, who could replace {directory}")
        parent = os.path.dirname(parent)


def unpack(archive: str, build: str, directory: str) -> None:
    """Make the virtual environment under another name, and rename it when it is whole."""
    import shutil  # noqa: PLC0415 - once
    import tempfile  # noqa: PLC0415 - once
    import venv  # noqa: PLC0415 - once
    from zipfile import ZipFile  # noqa: PLC0415 - once

    unready = tempfile.mkdtemp(prefix=".unready-", dir=os.path.dirname(directory))
    try:
        venv.EnvBuilder(symlinks=True).create(unready)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        packages = os.path.join(unready, "lib", version, "site-packages")
        with ZipFile(archive) as outer:
            for name in (COMMON, f"{build}.zip"):
                with outer.open(name) as part, ZipFile(part) as inner:
                    inner.extractall(packages)
        try:
            os.rename(unready, directory)
        except OSError:
            # Another process was faster, which makes no difference.
            if not os.path.isdir(directory):
                raise
    finally:
        shutil.rmtree(unready, ignore_errors=True)


def unfit(archive: str, build: str, builds: "tuple[str, ...]") -> "tuple[str, str]":
    """Return why this Python cannot use the archive, and what can be done."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < OLDEST:
        return (
            f"ocattach needs Python {OLDEST[0]}.{OLDEST[1]} or later; {sys.executable} is {version}",
            f"Use a later one: uv run --no-project --python 3.13 python {archive}",
        )
    return (
        f"{archive} is not for this Python ({build}), but for: {', '.join(builds)}",
        "In a clone of ocattach's repository, make zipapp makes one for this machine",
    )


def fail(reason: str, hint: str) -> None:
    """End the process as ocattach ends with an error."""
    sys.stderr.write(f"Error: {reason}\n  {hint}\n")
    sys.exit(FAILURE)


if __name__ == "__main__":
    main()
