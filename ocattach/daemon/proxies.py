"""Reads the proxy variables of a daemon, for diagnoses of models that do not answer."""

from collections.abc import Mapping

from ocattach.daemon.script import RunCommand, run_script


def read_proxies(run: RunCommand, *, pid: int, timeout: float) -> Mapping[str, str]:
    """Return the proxy variables of a daemon, which may contain secrets; empty if they cannot be read."""
    report = run_script(run, "proxies", str(pid), timeout=timeout)
    pairs = (line.partition("=") for line in report.all("variable"))
    return {name: value for name, _, value in pairs}
