"""Finds, starts and stops `opencode serve` in an environment, with POSIX shell scripts that run there.

Each script needs one round trip, since round trips take long on slow connections.
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
