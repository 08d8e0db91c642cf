"""Finds, starts and stops `opencode serve` in an environment, with POSIX shell scripts that run there.

Each script needs one round trip, since round trips take long on slow connections.
"""

from ocattach.daemon.lifecycle import DaemonStatus, check_opencode, start_daemon, stop_daemon
from ocattach.daemon.listener import read_proxies
from ocattach.daemon.logs import DAEMON, Logs, read_logs
from ocattach.daemon.probe import Probe, probe
from ocattach.daemon.script import DaemonSettings, RunCommand

__all__ = [
    "DAEMON",
    "DaemonSettings",
    "DaemonStatus",
    "Logs",
    "Probe",
    "RunCommand",
    "check_opencode",
    "probe",
    "read_logs",
    "read_proxies",
    "start_daemon",
    "stop_daemon",
]
