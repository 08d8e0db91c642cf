"""As whom the cluster is asked: each way in which the official client finds that out."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError, ConfigurationError, TimedOutError
from ocattach.transports.base import NoPerson, Question
from tests.kubernetes.conftest import User, plugin
from tests.rigs.kubernetes import EXEC, GET_PODS, KubernetesCluster
from tests.rigs.local import user_environment


def printing(status: dict[str, str]) -> str:
    """A plugin that prints credentials."""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    return f"echo {base64.b64encode(json.dumps(credential).encode()).decode()} | base64 -d"


def test_a_plugin_gives_a_token(kubernetes_cluster: KubernetesCluster, user: User, workdir: Path) -> None:
    account = json.loads(kubernetes_cluster.user("by-plugin", GET_PODS, EXEC, token=True).read_text())
    credentials = {"token": account["users"][0]["user"]["token"]}
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "plugin", plugin(printing(credentials))))
    with kubernetes_cluster.pod("by-plugin"):
        assert user.handler(pod="by-plugin").run(["hostname"], timeout=60).stdout == b"by-plugin\n"


def test_a_plugin_gives_a_certificate(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    identity = kubernetes_cluster.authority.client("by-certificate", "system:masters")
    credentials = {
        "clientCertificateData": identity.certificate.read_text(),
        "clientKeyData": identity.key.read_text(),
    }
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "plugin", plugin(printing(credentials))))
    with kubernetes_cluster.pod("by-certificate"):
        assert user.handler(pod="by-certificate").run(["hostname"], timeout=60).stdout == b"by-certificate\n"


def test_keys_within_a_kubeconfig_leave_no_file_behind_nor_do_those_of_a_killed_link(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = kubernetes_cluster.authority.client("embedded", "system:masters")
    embedded = {
        "client-certificate-data": base64.b64encode(identity.certificate.read_bytes()).decode(),
        "client-key-data": base64.b64encode(identity.key.read_bytes()).decode(),
    }
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "embedded", embedded))
    files = workdir / "files"
    monkeypatch.setenv("OCATTACH_RUNTIME_DIR", str(files))
    files.mkdir(mode=0o700)
    killed = subprocess.Popen(["true"])
    killed.wait()
    (files / f"keys-{killed.pid}-left").mkdir()
    with kubernetes_cluster.pod("embedded"):
        handler = user.handler(pod="embedded")
        assert handler.run(["hostname"], timeout=60).stdout == b"embedded\n"
        (kept,) = files.iterdir()
        assert kept.stat().st_mode & 0o777 == 0o700
        handler.disconnect()

    assert not list(files.iterdir())


IN_A_POD = """
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
cd /run/secrets/kubernetes.io/serviceaccount
printf %s "$1" >token; cp "$2" ca.crt; printf team-in >namespace
shift 2
exec "$@"
"""
"""What a kubelet puts into a pod, for a program in a mount namespace of its own."""

ITSELF = """
from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
spec = ConnectionSpec.from_entry({"transport": "k8s", "pod": "neighbour"})
with open_handler(spec, ask=print, timeout=30) as handler:
    print(handler.run(["hostname"], timeout=60).stdout.decode())
"""


def test_within_a_pod_its_own_account_and_namespace_are_used(
    kubernetes_cluster: KubernetesCluster, workdir: Path
) -> None:
    with (
        kubernetes_cluster.namespace("team-in") as team,
        kubernetes_cluster.pod("neighbour", namespace=team),
    ):
        config = json.loads(
            kubernetes_cluster.user("inside", GET_PODS, EXEC, namespace=team, token=True).read_text()
        )
        token = config["users"][0]["user"]["token"]
        address, _, port = kubernetes_cluster.url.removeprefix("https://").rpartition(":")
        authority = str(kubernetes_cluster.authority.certificate)
        variables = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                IN_A_POD,
                "sh",
                token,
                authority,
                sys.executable,
                "-c",
                ITSELF,
            ],
            env={
                **variables,
                "HOME": str(workdir),
                "OCATTACH_STATE_DIR": str(workdir),
                "KUBERNETES_SERVICE_HOST": address,
                "KUBERNETES_SERVICE_PORT": port,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.stdout.strip() == "neighbour", done.stderr


ASKING = """
echo 'Open https://login.invalid/device and enter CODE-1' >&2
printf 'Account: ' >&2; read -r account
stty -echo; printf 'Password: ' >&2; read -r password; stty echo
[ "$account:$password" = me:word ] || exit 9
"""


def test_a_plugin_speaks_and_asks_through_the_terminal_of_the_person(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    account = json.loads(kubernetes_cluster.user("by-asking", GET_PODS, EXEC, token=True).read_text())
    script = ASKING + printing({"token": account["users"][0]["user"]["token"]})
    user.take(
        kubernetes_cluster.write_kubeconfig(workdir / "plugin", plugin(script, interactiveMode="Always"))
    )
    questions: list[Question] = []

    def ask(question: Question) -> str:
        questions.append(question)
        return {"Account: ": "me", "Password: ": "word"}.get(question.text, "")

    user.handler(ask=ask, selector="app=none").open_connection()

    assert questions == [
        Question("Open https://login.invalid/device and enter CODE-1", notice=True),
        Question("Account: "),
        Question("Password: ", secret=True),
    ]


def test_what_a_plugin_prints_is_shown_while_it_waits_and_it_is_ended_in_time(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    script = "echo open this page >&2; sleep 600"
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "plugin", plugin(script)))
    shown: list[float] = []

    def ask(question: Question) -> str:
        assert question == Question("open this page", notice=True)
        shown.append(time.monotonic())
        return ""

    handler = user.handler(ask=ask, pod="any")
    handler.timeout = 2
    with pytest.raises(TimedOutError, match="did not end within 2 s: open this page") as raised:
        handler.check_available()

    assert time.monotonic() - shown[0] > 1
    assert "--timeout" in raised.value.hint


def test_the_command_line_shows_what_a_plugin_prints_before_the_plugin_ends(
    kubernetes_cluster: KubernetesCluster, workdir: Path
) -> None:
    script = "echo open this page >&2; while [ ! -e go ]; do sleep 0.1; done; echo not yet >&2; exit 1"
    kubeconfig = kubernetes_cluster.write_kubeconfig(workdir / "plugin", plugin(script))
    with subprocess.Popen(
        [sys.executable, "-m", "ocattach", "--print-url", "--no-start", "k8s://any"],
        env={**user_environment(workdir), "KUBECONFIG": str(kubeconfig)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as ocattach:
        assert ocattach.stderr
        shown = next(line for line in ocattach.stderr if "open this page" in line)
        (workdir / "go").touch()
        rest = ocattach.stderr.read()

    assert shown
    assert "failed with exit code 1: not yet" in rest
    assert ocattach.returncode == 4


def test_without_a_person_a_plugin_is_not_interactive_and_one_that_must_be_is_not_run(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    for mode, message in {
        "IfAvailable": 'exit code 3: .*"interactive": false',
        "Always": "needs a terminal",
    }.items():
        script = 'echo "$KUBERNETES_EXEC_INFO" >&2; exit 3'
        user.take(kubernetes_cluster.write_kubeconfig(workdir / mode, plugin(script, interactiveMode=mode)))

        with pytest.raises(AuthenticationError, match=message):
            user.handler(pod="any", ask=NoPerson("Reconnecting")).check_available()


def test_a_socks_proxy_without_pysocks_is_an_error_that_names_the_package(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:word@127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socks", None)

    with pytest.raises(ConfigurationError, match="the Python package PySocks") as raised:
        user.handler(pod="any").check_available()
    assert "PySocks" in raised.value.hint
