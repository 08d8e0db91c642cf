"""Hosts that offer few algorithms, among them such as only OpenSSH has."""

import pytest

from ocattach.errors import OcattachError
from tests.contract.servers import echo, send_and_receive, serve
from tests.rigs.machine import HOME
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Client


@pytest.mark.parametrize("host", ["chacha", "sntrup"])
def test_a_host_of_one_algorithm_runs_commands_and_leads_to_its_ports(
    client: Client, machines: SSHMachines, host: str
) -> None:
    with (
        serve(machines[host].network, echo, home=machines[host].confined.path(HOME)) as port,
        client.handler(host) as handler,
    ):
        assert handler.run(["hostname"], timeout=60).stdout.decode() == f"machine-{host}\n"
        with handler.connect(port) as tunnel:
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"


@pytest.mark.parametrize(
    ("host", "settings", "words"),
    [
        ("chacha", "Ciphers aes128-ctr", r"no matching cipher found.*chacha20-poly1305@openssh\.com"),
        ("sntrup", "KexAlgorithms ecdh-sha2-nistp256", "no matching key exchange method found.*sntrup761"),
        ("main", "HostKeyAlgorithms rsa-sha2-256", "no matching host key type found.*ssh-ed25519"),
    ],
)
def test_a_host_with_no_algorithm_in_common_is_refused_in_the_words_of_ssh(
    client: Client, host: str, settings: str, words: str
) -> None:
    client.configure(settings)

    with pytest.raises(OcattachError, match=words):
        client.greet(host)
