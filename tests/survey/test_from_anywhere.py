"""What a link and every command answers does not depend on the directory of the shell."""

import json
from pathlib import Path

import pytest

from tests.survey.desk import Desk

NOBODY = "127.0.0.1:9"
KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": f"http://{NOBODY}"}}],
    "users": [{"name": "u", "user": {}}],
}


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """In a directory with a key and a kubeconfig, and another below."""
    (desk.home / "below").mkdir()
    (desk.home / "key.pem").write_text("")
    (desk.home / "kube.yaml").write_text(json.dumps(KUBECONFIG))
    return desk


def saved(desk: Desk, name: str) -> str:
    return Path(desk.variables["OCATTACH_CONFIG_DIR"], f"connections/{name}.yaml").read_text()


def test_a_typed_key_is_that_of_the_directory_where_it_was_typed(desk: Desk) -> None:
    identity = ("--identity", "./key.pem")
    assert desk.run("--save", "host", f"ssh://{NOBODY}", *identity).returncode == 0
    assert f"{desk.home}/key.pem" in saved(desk, "host")

    linked = desk.run(f"ssh://{NOBODY}", *identity, "--print-url", "-o", "json").stdout
    assert "does not exist" not in linked
    reasons = {desk.ask("host").states["host"]["reason"]}
    desk.home = desk.home / "below"
    reasons |= {desk.ask("host").states["host"]["reason"]}
    assert reasons == {json.loads(linked)["error"]["message"]}


def test_a_relative_kubeconfig_is_that_of_the_shell(desk: Desk) -> None:
    attach = ("pod", "--print-url", "-o", "json")
    desk.variables["KUBECONFIG"] = f"none.yaml:./kube.yaml:{desk.home}/kube.yaml"
    assert desk.run("--save", "pod", "k8s://pod?namespace=shop").returncode == 0
    answers = [json.loads(desk.run(*attach).stdout)["error"]]
    desk.variables["KUBECONFIG"] = "../kube.yaml"
    desk.home = desk.home / "below"
    answers += [json.loads(desk.run(*attach).stdout)["error"]]
    found = desk.ask("pod").states["pod"]

    assert {answer["message"] for answer in answers} == {found["reason"]}
    assert found["state"] == "unreachable"


def test_a_relative_workdir_of_this_machine_is_below_that_of_the_shell(desk: Desk) -> None:
    desk.run("--save", "here", "local://", "--workdir", "below")

    assert f"workdir: {desk.home}/below" in saved(desk, "here")


def test_a_relative_directory_of_certificates_is_that_of_the_shell(desk: Desk) -> None:
    desk.variables |= {
        "DOCKER_HOST": f"tcp://{NOBODY}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "certs",
    }
    desk.run("--save", "app", "docker://app")

    assert f"cert_path: {desk.home}/certs" in saved(desk, "app")
