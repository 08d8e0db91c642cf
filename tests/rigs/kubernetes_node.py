"""The node of a cluster: a machine of its own with containerd and kubelet.

It has its own network, processes, hostname, /run, /var/lib and /var/log. Pods are on a bridge inside, with no way
out. All of it ends with the machine.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tests.rigs import cgroups, images
from tests.rigs.daemons import Daemon, entering
from tests.rigs.kubernetes_certificates import Identity
from tests.rigs.namespaces import Confined, run

NODE = "node"
PORT = 10250

SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""What kubelet sets, and would set for the whole machine: a file in the place of each has the value it wants."""

SETUP = """\
for place in /var/lib /var/log {directory}/etcd; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir /run/netns /run/sysctl
printf 'nameserver 127.0.0.1\\n' >/run/resolv.conf
"""

CONTAINERD = """\
version = 2
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox}"
  restrict_oom_score_adj = true  # lowering it is more than root in a container may
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

NOT_EVICTED_FOR = ("memory.available", "nodefs.available", "imagefs.available", "nodefs.inodesFree")

POD_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/ipam",
                "ranges": [[{"subnet": "10.244.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}


def start_machine(directory: Path) -> Confined:
    """The empty machine, for the cluster's daemons to be started in."""
    (directory / "etcd").mkdir()
    setup = SETUP.format(directory=directory)
    for name, value in SYSCTLS.items():
        file = f"/run/sysctl/{name.replace('/', '-')}"
        setup += f"echo {value} >{file}\nmount --bind {file} /proc/sys/{name}\n"
    waiting = ["sleep", "infinity"]
    return Confined(waiting, log=directory / "machine.log", hostname=NODE, setup=setup)


def containerd(machine: Confined, directory: Path) -> Daemon:
    """containerd, not yet started."""
    (directory / "cni").mkdir()
    (directory / "cni/pods.conflist").write_text(json.dumps(POD_NETWORK))
    config = directory / "containerd.toml"
    config.write_text(CONTAINERD.format(directory=directory, sandbox=images.reference("pause")))
    return Daemon(machine, ["containerd", "--config", config], directory / "containerd.log")


def import_images(machine: Confined, directory: Path, variants: Sequence[str]) -> None:
    """Let containerd know the images."""
    archive = directory / "image.tar"
    for variant in variants:
        archive.write_bytes(images.archive(variant))
        run(*entering(machine), "ctr", "-n", "k8s.io", "images", "import", archive)
    archive.unlink()


def kubelet(
    machine: Confined,
    directory: Path,
    program: Path,
    *,
    address: str,
    kubeconfig: Path,
    serving: Identity,
    authority: Path,
    cgroup: str,
) -> Daemon:
    """kubelet, not yet started."""
    cgroups.create(cgroup)
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "port": PORT,
        "readOnlyPort": 0,
        "healthzPort": 0,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "hairpinMode": "none",
        "resolvConf": "/run/resolv.conf",
        "evictionHard": dict.fromkeys(NOT_EVICTED_FOR, "0%"),
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "2s",
        "nodeStatusUpdateFrequency": "500ms",
        "fileCheckFrequency": "0s",
        "maxPods": 110,
        "featureGates": {"EphemeralContainers": True},  # without the gate from 1.25
    }
    config = directory / "kubelet.json"
    config.write_text(json.dumps(settings))
    argv: list[str | Path] = [
        *(program, f"--config={config}", f"--kubeconfig={kubeconfig}"),
        *("--container-runtime=remote", f"--container-runtime-endpoint=unix://{CONTAINERD_SOCKET}"),
        *(f"--hostname-override={NODE}", f"--node-ip={address}"),
    ]
    return Daemon(machine, argv, directory / "kubelet.log")


def container_process(machine: Confined, container_id: str) -> Path:
    """The /proc directory of a container's first process, readable here."""
    name = container_id.removeprefix("containerd://")
    # It is numbered as in the machine, whose own /proc that is.
    number = machine.path(f"{TASKS}/{name}/init.pid").read_text()
    return machine.path(f"/proc/{number}")
