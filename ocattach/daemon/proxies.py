"""The proxies that a daemon sends its requests through: the first thing to look at when no model answers."""

from collections.abc import Mapping

from ocattach.daemon.script import RunCommand, parse_report, script_argv, script_input


def read_proxies(run: RunCommand, *, pid: int, timeout: float) -> Mapping[str, str]:
    """The proxy variables of a daemon as they are, with what may be secret in them; empty where nobody can tell."""
    result = run(script_argv("proxies.sh", str(pid)), stdin=script_input(), timeout=timeout)
    report = parse_report(result, script="proxies")
    pairs = (line.partition("=") for line in report.all("variable"))
    return {name: value for name, _, value in pairs}
