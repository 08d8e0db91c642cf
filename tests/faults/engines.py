"""Faults that hit what runs the environment: engines, sshd, containers, pods, parts of a cluster."""

from collections.abc import Sequence
from typing import ClassVar

from tests.faults.fault import Fault
from tests.faults.processes import kill
from tests.faults.site import Site
from tests.faults.sites import ContainerSite, MachineSite, PodSite
from tests.rigs.waiting import wait_until


class EngineKilled(Fault):
    name, what = "engine-killed", "SIGKILL of dockerd or podman's service, started again 1 s later"
    sites: ClassVar[Sequence[str]] = ("docker", "podman")
    long = 10
    settles = 60  # the relay's end of the stream is held open by what the engine left; it ends by silence
    seconds = 1

    def induce(self, site: Site) -> None:
        site.engine.crash()

    def restore(self, site: Site) -> None:
        site.engine.revive()


class ContainerStopped(Fault):
    name, what = "container-stopped", "the container is stopped, and started 1 s later"
    sites: ClassVar[Sequence[str]] = ("docker", "podman")
    short, long = 0, 4
    seconds = 1
    ends_daemon = True
    renews = True

    def induce(self, site: Site) -> None:
        assert isinstance(site, ContainerSite)
        site.container.container.stop(timeout=0)

    def restore(self, site: Site) -> None:
        assert isinstance(site, ContainerSite)
        site.engine.client.containers.get("frontend-app").start()


class ContainerRestarted(ContainerStopped):
    name, what = "container-restarted", "the container is restarted"
    seconds = 0
    has_terminal = True

    def induce(self, site: Site) -> None:
        assert isinstance(site, ContainerSite)
        site.container.container.restart(timeout=0)

    def restore(self, site: Site) -> None:
        """It has done that by itself."""


class SessionKilled(Fault):
    name, what = "sshd-session-killed", "SIGKILL of the sshd session's processes"
    sites: ClassVar[Sequence[str]] = ("ssh",)
    short, long = 1, 120
    has_terminal = True

    def induce(self, site: Site) -> None:
        kill(wait_until(site.sessions, "an sshd session"))


class SshdKilled(Fault):
    name, what = "sshd-killed", "SIGKILL of sshd and its sessions, started again 1 s later"
    sites: ClassVar[Sequence[str]] = ("ssh",)
    short, long = 0, 10
    seconds = 1

    def induce(self, site: Site) -> None:
        assert isinstance(site, MachineSite)
        site.machine.sshd.kill()
        kill(wait_until(site.sessions, "an sshd session"))

    def restore(self, site: Site) -> None:
        assert isinstance(site, MachineSite)
        site.machine.sshd.start()
        site.engine.wait_until_ready(site.machine.name)


class PodDeleted(Fault):
    name, what = "pod-deleted", "the pod of a Deployment is deleted, and replaced"
    sites: ClassVar[Sequence[str]] = ("k8s",)
    long = 4
    ends_daemon = True
    renews = True

    def induce(self, site: Site) -> None:
        assert isinstance(site, PodSite)
        site.pod.delete()

    def restore(self, site: Site) -> None:
        assert isinstance(site, PodSite)
        workload = site.workload
        wait_until(lambda: workload.pods, "a pod in its place", timeout=60, interval=0.05)


class KubeletRestarted(Fault):
    name, what = "kubelet-restarted", "kubelet is ended, and started 1 s later"
    sites: ClassVar[Sequence[str]] = ("k8s",)
    short, long = 0, 8
    seconds = 1

    def induce(self, site: Site) -> None:
        site.engine.kubelet.stop()

    def restore(self, site: Site) -> None:
        site.engine.kubelet.start()
        site.engine.wait_until_ready()


class ApiserverRestarted(KubeletRestarted):
    name, what = "apiserver-restarted", "kube-apiserver is killed, and started 1 s later"

    def induce(self, site: Site) -> None:
        site.engine.apiserver.kill()

    def restore(self, site: Site) -> None:
        site.engine.apiserver.start()
        site.engine.wait_until_ready()
