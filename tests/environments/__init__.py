"""One environment for each way in: what the contract and the main job are tested on.

A transport without an environment here fails `test_every_transport_is_under_contract`.
"""

from collections.abc import Mapping

from tests.environments.docker import docker_environment
from tests.environments.environment import Environment, Make, starts_daemons
from tests.environments.http import http_environment
from tests.environments.kubernetes import kubernetes_environment
from tests.environments.local import local_environment
from tests.environments.podman import podman_environment
from tests.environments.ssh import by_paramiko, by_users_master, ssh_environment
from tests.rigs.machine import PASSWORD

__all__ = ["ENVIRONMENTS", "VARIANTS", "Environment", "starts_daemons"]

ENVIRONMENTS: Mapping[str, Make] = {
    "docker": docker_environment("docker_engine"),
    "docker-host": docker_environment("host_network_engine", on_host=True),
    "docker-rootless": docker_environment("rootless_docker_engine"),
    "http": http_environment(),
    "https": http_environment(gateway=True),
    "https-header": http_environment(gateway=True, wants_key=True),
    "k8s": kubernetes_environment,
    "local": local_environment,
    "podman": podman_environment("podman_engine"),
    "podman-rootless": podman_environment("rootless_podman_engine"),
    "ssh": ssh_environment("main"),
    "ssh-jump": ssh_environment("inner"),
    "ssh-password": ssh_environment("passwd", answers={"'s password: ": PASSWORD}),
    "ssh-master": by_users_master("passwd"),
    "ssh-no-forwarding": ssh_environment("nofwd"),
    "ssh-paramiko": by_paramiko("main"),
    "ssh-paramiko-jump": by_paramiko("inner"),
}

VARIANTS = {
    *("docker-host", "docker-rootless", "podman"),
    *("ssh-jump", "ssh-master", "ssh-no-forwarding", "ssh-paramiko-jump", "ssh-password"),
}
"""The same transport by another route or engine: only tests that are marked `every_way_in`, or name it, run there."""
