"""Pods as the API describes them: choosing one, why one cannot be used, and which one was used last."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import read_text, write_text
from ocattach.errors import EnvironmentNotFoundError, EnvironmentNotRunningError, OcattachError, UsageError
from ocattach.printable import command_line

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""The annotation with kubectl's default container."""

STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
ENDED_PHASES = {"Succeeded": "has completed", "Failed": "has failed"}


@dataclass(frozen=True, slots=True)
class Pod:
    """The state of a pod at one time."""

    name: str
    uid: str
    created: str
    phase: str
    deleting: bool
    ready: bool
    containers: tuple[str, ...]
    others: tuple[str, ...]
    """Init containers, among them sidecars, and ephemeral ones: used if they are named."""

    default_container: str | None
    states: Mapping[str, Mapping[str, Any]]
    """The state of each container: one of "running", "waiting" and "terminated", with its details."""

    why: str
    """The cluster's reason for the pod's state, such as why no node takes it."""

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Parse a pod from the API server's JSON."""
        metadata, spec, status = found["metadata"], found["spec"], found.get("status") or {}
        conditions = {each["type"]: each for each in status.get("conditions") or []}
        scheduled = conditions.get("PodScheduled") or {}
        reason = scheduled if scheduled.get("status") == "False" else status
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            created=metadata.get("creationTimestamp") or "",
            phase=status.get("phase") or "Pending",
            deleting="deletionTimestamp" in metadata,
            ready=(conditions.get("Ready") or {}).get("status") == "True",
            containers=names(spec, "containers"),
            others=names(spec, "initContainers", "ephemeralContainers"),
            default_container=(metadata.get("annotations") or {}).get(DEFAULT_CONTAINER),
            states={
                each["name"]: each.get("state") or {} for kind in STATUSES for each in status.get(kind) or []
            },
            why=": ".join(reason[key] for key in ("reason", "message") if reason.get(key)),
        )

    def container(self, wanted: str | None) -> str:
        """Return the container to use. Raises UsageError with the choices if it is ambiguous."""
        every = (*self.containers, *self.others)
        choice = ", ".join(command_line("--container", name) for name in every)
        name = wanted or (self.containers[0] if len(self.containers) == 1 else self.default_container)
        if name is None:
            raise UsageError(f"Pod {self.name} has several containers", hint=f"Name one: {choice}")
        if name not in every:
            raise UsageError(f"Pod {self.name} has no container {name}", hint=f"It has: {choice}")
        return name

    def trouble(self, container: str) -> OcattachError | None:
        """Return why no command can run in a container; None if it can. The hint is arguments of kubectl."""
        if self.deleting:
            return EnvironmentNotRunningError(f"Pod {self.name} is being deleted", hint="get pods")
        if self.phase in ENDED_PHASES:
            code = self.states.get(container, {}).get("terminated", {}).get("exitCode")
            how = f" (exit code {code})" if code is not None else f" ({self.why})" if self.why else ""
            return EnvironmentNotRunningError(
                f"Pod {self.name} {ENDED_PHASES[self.phase]}{how}",
                hint=command_line("logs", self.name, container),
            )
        state = self.states.get(container)
        if state is None:
            why = f": {self.why}" if self.why else ""
            return EnvironmentNotRunningError(
                f"Pod {self.name} is {self.phase.lower()}{why}",
                hint=command_line("describe", "pod", self.name),
            )
        if "running" in state:
            return None
        return self._not_running(container, state)

    def _not_running(self, container: str, state: Mapping[str, Any]) -> OcattachError:
        where = f"Container {container} of pod {self.name}"
        if "terminated" in state:
            return EnvironmentNotRunningError(
                f"{where} ended with exit code {state['terminated'].get('exitCode')}",
                hint=command_line("logs", self.name, container),
            )
        waiting = state.get("waiting") or {}
        reason = waiting.get("reason") or "waiting"
        message = f": {waiting['message']}" if waiting.get("message") else ""
        crashed = reason == "CrashLoopBackOff"
        return EnvironmentNotRunningError(
            f"{where} is not ready: {reason}{message}",
            hint=command_line("logs", "--previous", self.name, container)
            if crashed
            else command_line("describe", "pod", self.name),
        )


def names(spec: Mapping[str, Any], *kinds: str) -> tuple[str, ...]:
    """Return the names of a pod's containers of some kinds."""
    return tuple(each["name"] for kind in kinds for each in spec.get(kind) or [])


@dataclass(frozen=True, slots=True)
class Choice:
    """The pod and container to use, and how they were chosen."""

    pod: Pod
    container: str
    of: int
    """The number of pods to choose from."""

    by_memory: bool

    def summary(self, last: "LastPod | None", there: Iterable[Pod]) -> str:
        """Return the choice as a line of progress."""
        what = f"Pod {self.pod.name}"
        if self.pod.containers != (self.container,):
            what += f", container {self.container},"
        text = f"{what} is running"
        if self.of > 1:
            why = "used last time" if self.by_memory else "the oldest"
            text += f" ({why} of {self.of} ready)"
        if last is None or last.uid == self.pod.uid:
            return text
        if any(pod.uid == last.uid for pod in there):
            return f"{text}; pod {last.name}, used last time, cannot be used now"
        return f"{text}; the environment is new: pod {last.name} was replaced"


@dataclass(frozen=True, slots=True)
class LastPod:
    """The pod that a connection used last."""

    name: str
    uid: str


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
            write_text(pod_file(link_key), json.dumps(asdict(pod)))


def pod_file(link_key: str) -> Path:
    """Return the path of the file."""
    return state_directory(os.environ) / "pods" / link_key


def choose(pods: Sequence[Pod], container: str | None, last: LastPod | None) -> Choice:
    """Choose the pod used last, else the oldest ready one, else the oldest running one.

    Raises the error of the oldest when none can be used.
    """
    ordered = sorted(pods, key=lambda pod: (pod.created, pod.name))
    named = [(pod, pod.container(container)) for pod in ordered]
    usable = [(pod, name) for pod, name in named if pod.trouble(name) is None]
    if not usable:
        raise next(trouble for pod, name in named if (trouble := pod.trouble(name)))
    ready = [each for each in usable if each[0].ready] or usable
    for pod, name in usable:
        if last is not None and pod.uid == last.uid:
            return Choice(pod, name, of=max(1, len(ready)), by_memory=True)
    pod, name = ready[0]
    return Choice(pod, name, of=len(ready), by_memory=False)


def selector_text(selector: Mapping[str, Any]) -> str:
    """Convert the selector of a deployment or stateful set to a `labelSelector`."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        key, values = each["key"], f"({','.join(each.get('values') or [])})"
        match each["operator"]:
            case "In":
                parts.append(f"{key} in {values}")
            case "NotIn":
                parts.append(f"{key} notin {values}")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
            case other:
                raise EnvironmentNotFoundError(f"The selector has an unknown operator: {other}")
    return ",".join(parts)
