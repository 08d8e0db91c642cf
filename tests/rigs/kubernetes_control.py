"""What a cluster is controlled by: etcd, kube-apiserver, kube-controller-manager; on the node's own machine."""

import json
import os
from pathlib import Path

from tests.rigs.availability import Unavailable
from tests.rigs.daemons import Daemon
from tests.rigs.kubernetes_api import PORT
from tests.rigs.kubernetes_certificates import Authority, Identity
from tests.rigs.namespaces import Confined

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubelet")
ETCD = "http://127.0.0.1:2379"
ADMINISTRATORS = "system:masters"
CONTROLLERS = ("deployment", "replicaset", "statefulset", "garbagecollector", "namespace")

OWN_USERS = ("rig", "kubelet", "kube-apiserver", "kube-controller-manager", "system:apiserver")
"""Whose requests are nobody's business: the audit log has all others."""

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "None", "users": OWN_USERS}, {"level": "Metadata"}],
}


def programs() -> Path:
    """The folder that scripts/install-kubernetes has filled."""
    named = os.environ.get("OCATTACH_TEST_KUBERNETES")
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(named or Path(caches, "ocattach-tests/kubernetes"))
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise Unavailable(f"no {', '.join(missing)} in {folder}: scripts/install-kubernetes makes them")
    return folder


def etcd(machine: Confined, directory: Path) -> Daemon:
    """etcd, not yet started."""
    peer = "http://127.0.0.1:2380"
    argv: list[str | Path] = [
        *(programs() / "etcd", "--logger", "zap", "--data-dir", directory / "etcd/data"),
        *("--listen-client-urls", ETCD, "--advertise-client-urls", ETCD),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"default={peer}"),
    ]
    return Daemon(machine, argv, directory / "etcd.log")


def apiserver(machine: Confined, directory: Path, authority: Authority, address: str) -> Daemon:
    """kube-apiserver, not yet started."""
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    serving = authority.server("apiserver", address)
    to_kubelet = authority.client("kube-apiserver", ADMINISTRATORS)
    tokens = authority.key_pair("tokens")
    argv: list[str | Path] = [
        programs() / "kube-apiserver",
        *(f"--bind-address={address}", f"--secure-port={PORT}", "--insecure-port=0"),
        *(f"--advertise-address={address}", "--endpoint-reconciler-type=none"),
        *(f"--etcd-servers={ETCD}", f"--cert-dir={directory}/apiserver"),
        *(f"--tls-cert-file={serving.certificate}", f"--tls-private-key-file={serving.key}"),
        f"--client-ca-file={authority.certificate}",
        *(f"--kubelet-client-certificate={to_kubelet.certificate}", f"--kubelet-client-key={to_kubelet.key}"),
        f"--kubelet-certificate-authority={authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        *("--service-account-issuer=https://cluster.invalid", "--service-cluster-ip-range=10.245.0.0/24"),
        f"--service-account-key-file={tokens.certificate}",
        f"--service-account-signing-key-file={tokens.key}",
        "--authorization-mode=RBAC",
        # Pods of the tests need no account of their own, and nobody makes them one.
        "--disable-admission-plugins=ServiceAccount,DefaultStorageClass,StorageObjectInUseProtection",
        *("--allow-privileged=true", "--profiling=false", "--feature-gates=EphemeralContainers=true"),
        *(f"--audit-policy-file={policy}", f"--audit-log-path={directory}/audit.log"),
    ]
    return Daemon(machine, argv, directory / "kube-apiserver.log")


def controller_manager(machine: Confined, directory: Path, kubeconfig: Path) -> Daemon:
    """kube-controller-manager, not yet started."""
    argv: list[str | Path] = [
        *(programs() / "kube-controller-manager", f"--kubeconfig={kubeconfig}", "--leader-elect=false"),
        *(f"--controllers={','.join(CONTROLLERS)}", "--port=0", "--secure-port=0"),
    ]
    return Daemon(machine, argv, directory / "kube-controller-manager.log")


def by_certificate(identity: Identity) -> dict[str, str]:
    """A user of a kubeconfig who shows a certificate."""
    return {"client-certificate": str(identity.certificate), "client-key": str(identity.key)}
