"""Podman without a service: the link brings one, and takes it away."""

import base64
import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.podman.account import Account
from tests.rigs.waiting import wait_until

URI = "podman://frontend-app:/work"


def health(account: Account, document: dict[str, str]) -> object:
    """What the daemon says of itself, through the link's port; that is in the network where podman is."""
    port = urlsplit(document["url"]).port
    assert port
    secret = base64.b64encode(f"{document['username']}:{document['password']}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.sock = account.engine.daemon.network.dial(port, timeout=10)
    try:
        connection.request("GET", "/global/health", headers={"Authorization": f"Basic {secret}"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def own_folders(account: Account) -> list[Path]:
    return list(account.runtime.glob("podman-*"))


def test_where_no_service_runs_the_link_has_one_until_it_ends(account: Account) -> None:
    document = account.connect(URI)

    assert health(account, document) == {"healthy": True, "version": document["version"]}
    assert account.services()
    assert len(own_folders(account)) == 1

    assert account.ocattach(URI, "--disconnect").returncode == 0

    wait_until(lambda: not account.services(), "the service to end")
    wait_until(lambda: not own_folders(account), "its folder to go")


def test_a_killed_link_leaves_no_service_behind(account: Account) -> None:
    account.connect(URI)
    assert account.services()

    for link in account.links():
        link.kill()

    wait_until(lambda: not account.services(), "the service to end")
    wait_until(lambda: not own_folders(account), "its folder to go")
    wait_until(lambda: not account.processes(program="sh"), "the shell that ended it to end")


def test_a_connection_that_fails_leaves_no_service_behind(account: Account) -> None:
    ran = account.ocattach("podman://frontend-ap", "--print-url")

    assert ran.returncode == 6
    assert "Did you mean frontend-app?" in ran.stderr
    wait_until(lambda: not account.services(), "the service to end")
    wait_until(lambda: not own_folders(account), "its folder to go")


def test_only_the_account_can_reach_its_service(account: Account) -> None:
    account.connect(URI)

    for folder in own_folders(account):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_accounts_own_service_is_used_where_it_runs(account: Account) -> None:
    folder, log = f"{account.engine.runtime}/podman", account.directory / "service.log"
    command = (
        'podman --log-level=info system service --time 0 "unix://$0/podman.sock" >"$1" 2>&1 </dev/null &'
    )
    account.run("sh", "-c", f'mkdir -p "$0" && {command}', folder, log)
    try:
        wait_until(lambda: log.exists() and "listening" in log.read_text(), "the service to listen")
        account.connect(URI)

        assert not own_folders(account)
        assert "/containers/frontend-app/exec" in log.read_text()

        account.ocattach(URI, "--disconnect")
        wait_until(lambda: not account.links(), "the link to end")
        assert account.services()
    finally:
        for service in account.services():
            service.kill()
        account.run("rm", "-rf", folder)


def test_a_machine_without_podman_is_told(account: Account) -> None:
    programs = account.directory / "bin"
    ran = account.ocattach(URI, "--print-url", variables={"PATH": str(programs)})

    assert ran.returncode == 6
    assert "Podman not found" in ran.stderr
    assert "CONTAINER_HOST" in ran.stderr


def test_a_podman_that_cannot_serve_is_told_in_its_own_words(account: Account) -> None:
    podman = account.directory / "bin/podman"
    podman.write_text("#!/bin/sh\necho 'Error: unknown command \"service\"' >&2\nexit 125\n")
    podman.chmod(0o755)
    ran = account.ocattach(URI, "--print-url")

    assert ran.returncode == 6
    assert 'unknown command "service"' in ran.stderr
    assert "podman info" in ran.stderr
    wait_until(lambda: not own_folders(account), "its folder to go")
