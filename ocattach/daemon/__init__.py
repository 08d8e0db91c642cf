"""The `opencode serve` process in an environment: found, started and stopped, the same way everywhere.

Three POSIX shell scripts do the work in one round trip each, because a slow link costs round trips.
"""

from ocattach.daemon.lifecycle import DaemonStatus, StartRequest, start_daemon, stop_daemon
from ocattach.daemon.logs import DAEMON, Logs, read_logs
from ocattach.daemon.probe import Probe, ProbeRequest, probe
from ocattach.daemon.proxies import read_proxies
from ocattach.daemon.script import RunCommand

__all__ = [
    "DAEMON",
    "DaemonStatus",
    "Logs",
    "Probe",
    "ProbeRequest",
    "RunCommand",
    "StartRequest",
    "probe",
    "read_logs",
    "read_proxies",
    "start_daemon",
    "stop_daemon",
]
