"""The pod that each connection used last, in one small file each."""

import json
import os
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import read_text, write_text
from ocattach.errors import OcattachError
from ocattach.transports.kubernetes.pods import LastPod


def last_pod(link_key: str) -> LastPod | None:
    """Return the pod used last; None if there is none or the file cannot be read."""
    with suppress(OcattachError, ValueError, TypeError, KeyError):
        record = json.loads(read_text(pod_file(link_key)) or "{}")
        return LastPod(str(record["name"]), str(record["uid"]))
    return None


def remember_pod(link_key: str, pod: LastPod) -> None:
    """Save the pod in use. Errors in writing are ignored."""
    if last_pod(link_key) != pod:
        with suppress(OcattachError):
            write_text(pod_file(link_key), json.dumps({"name": pod.name, "uid": pod.uid}))


def pod_file(link_key: str) -> Path:
    """Return the path of the file."""
    return state_directory(os.environ) / "pods" / link_key
