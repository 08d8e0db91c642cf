"""Why a place has no opencode that can be used, and what helps: the words for what lookup.sh found."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ocattach.errors import OpencodeIncompatibleError, OpencodeNotFoundError

INSTALL = "npm install -g opencode-ai"
FITTING = f"Install OpenCode from within the environment, which takes the right one: {INSTALL}"

REASONS = {
    "absent": "not there",
    "silent": "does not tell its PATH",
    "same": "has the same PATH",
    "late": "did not answer within {detail} s",
    "dangling": "a link that leads nowhere",
    "folder": "a directory",
    "not-executable": "not executable",
    "empty": "an empty file",
    "stub": "npm's stub, without the program that the package's postinstall script puts there",
    "libc": "made for {libc}, whose loader {detail} is not there",
    "architecture": "made for another kind of processor ({detail}) than this {machine}",
    "system": "made for another operating system",
    "interpreter": "a script for {detail}, which is not there",
}
"""By the word that lookup.sh says."""

NOTHING_THERE = {"absent", "silent", "same", "late"}
"""Reasons that are no sign of an opencode."""

REMEDIES = {
    "stub": "Run the script there that npm was not allowed to run: node {script}",
    "libc": "Install {package} there: {install}, run in the environment, takes it by itself",
    "architecture": FITTING,
    "system": FITTING,
    "not-executable": "Make it executable there: chmod +x {path}",
    "interpreter": f"Install {{detail}} there, or an OpenCode that does without: {INSTALL}",
}


@dataclass(frozen=True, slots=True)
class UnusableBinary:
    """A place that was looked at, and has no opencode that can be used."""

    reason: str
    """A key of REASONS."""

    detail: str
    """What the reason is about: the loader that is missing, the seconds that were given."""

    path: str

    def explain(self, machine: str) -> str:
        """The reason in words."""
        libc = "musl" if self.is_musl else "glibc"
        return REASONS.get(self.reason, self.reason).format(detail=self.detail, machine=machine, libc=libc)

    def remedy(self, machine: str) -> str:
        """What to type in the environment, whose processor is as `uname -m` calls it."""
        return REMEDIES.get(self.reason, f"Install it there again: {INSTALL}").format(
            path=shlex.quote(self.path),
            detail=self.detail,
            script=shlex.quote(f"{self.detail}/postinstall.mjs"),
            package=package(machine, musl=not self.is_musl),
            install=INSTALL if self.is_musl else f"apk add libstdc++ libgcc && {INSTALL}",
        )

    @property
    def is_musl(self) -> bool:
        """Whether the program there is for musl, going by its loader."""
        return "ld-musl" in self.detail


def parse_place(line: str) -> UnusableBinary | None:
    """A place from its line: reason, detail, path; None when it is none."""
    match line.split(":", 2):
        case [reason, detail, path]:
            return UnusableBinary(reason, detail, path)
        case _:
            return None


def not_found(places: Sequence[UnusableBinary], *, system: str, environment: str) -> OpencodeNotFoundError:
    """The error for an environment in which none of the places will do; one that cannot run is told as that."""
    machine = system.rpartition(" ")[2]
    groups = groupby(places, key=lambda place: place.explain(machine))
    tried = "".join(f"\n  {reason}: {', '.join(place.path for place in group)}" for reason, group in groups)
    broken = [place for place in places if place.reason not in NOTHING_THERE]
    if not broken:
        return OpencodeNotFoundError(
            f"There is no opencode in {environment}; looked at, in this order:{tried}",
            hint=f"Install it there ({INSTALL}), or name its path in the connection's opencode setting",
        )
    return OpencodeIncompatibleError(
        f"The opencode in {environment} cannot run; looked at, in this order:{tried}",
        hint=min(broken, key=lambda place: place.reason not in REMEDIES).remedy(machine),
    )


def package(machine: str, *, musl: bool) -> str:
    """The npm package with OpenCode for Linux on a processor as `uname -m` calls it."""
    names = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
    return f"opencode-linux-{names.get(machine, machine)}" + ("-musl" if musl else "")
