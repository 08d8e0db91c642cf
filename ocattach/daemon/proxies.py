"""Reads the proxy variables of a daemon, for diagnoses of models that do not answer."""

from collections.abc import Mapping

from ocattach.daemon.script import RunCommand, parse_report, script_argv, script_input


def read_proxies(run: RunCommand, *, pid: int, timeout: float) -> Mapping[str, str]:
    """Return the proxy variables of a daemon, which may contain secrets; empty if they cannot be read."""
    result = run(script_argv("proxies.sh", str(pid)), stdin=script_input(), timeout=timeout)
    report = parse_report(result, script="proxies")
    pairs = (line.partition("=") for line in report.all("variable"))
    return {name: value for name, _, value in pairs}
