"""For each kind of kubeconfig, commands run where `kubectl exec` of the same shell runs them, and nowhere else."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocattach.errors import OcattachError
from ocattach.transports.base import NoPerson
from tests.kubernetes.conftest import User, plugin
from tests.kubernetes.test_credentials import printing
from tests.rigs import images
from tests.rigs.kubernetes import EXEC, GET_PODS, KubernetesCluster
from tests.rigs.tunnel_proxy import tunnel_proxy
from tests.rigs.waiting import wait_until

SECRET = "not-to-be-shown"
POD = "judged"
NAME = "api.cluster.invalid"
"""A name that only a proxy resolves."""

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass
class Shell:
    """What a user has in a shell: variables, and a kubeconfig of three parts that a case changes."""

    cluster: KubernetesCluster
    directory: Path
    token: str
    """Of an account that may get pods and run commands in them."""

    stack: ExitStack
    server: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] | None = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=lambda: {"cluster": "here", "user": "me"})
    variables: dict[str, str] = field(default_factory=dict)
    pod: str = POD
    container: str | None = None

    def __post_init__(self) -> None:
        self.server = self.cluster.server()
        self.account = {"token": self.token}

    def write(self, name: str, config: object) -> Path:
        """Write a file; JSON is YAML."""
        path = self.directory / name
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return path

    def use(self) -> Mapping[str, str]:
        """Write the kubeconfig and return the variables."""
        config = {
            "current-context": "c",
            "clusters": [{"name": "here", "cluster": self.server}],
            "users": [{"name": "me", "user": self.account}],
            "contexts": [{"name": "c", "context": self.context}],
        }
        return {"KUBECONFIG": str(self.write("config", config)), **self.variables}

    def proxy(self, scheme: str, account: str = "") -> str:
        """Start a proxy and return its URL."""
        address = str(urlsplit(self.cluster.url).hostname)
        proxy = self.stack.enter_context(tunnel_proxy(scheme, account, {NAME: address}))
        return f"{scheme}://{account}{'@' if account else ''}127.0.0.1:{proxy.port}"


Case = Callable[[Shell], None]
WORKS: list[Case] = []
REFUSED: list[Case] = []


def works(case: Case) -> Case:
    WORKS.append(case)
    return case


def refused(case: Case) -> Case:
    REFUSED.append(case)
    return case


@works
def a_token(_: Shell) -> None:
    pass


@works
def a_token_file_that_ends_in_a_newline(shell: Shell) -> None:
    shell.account = {"tokenFile": str(shell.write("token", f"{shell.token}\n"))}


@works
def a_token_beside_a_token_file_that_is_missing(shell: Shell) -> None:
    shell.account = {"token": shell.token, "tokenFile": "none"}


@works
def a_plugin_that_needs_to_know_the_cluster(shell: Shell) -> None:
    """As kubectl gives it: the authority as data, and an extension as `config`."""
    shell.server["extensions"] = [
        {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "shop"}}
    ]
    needed = "*audience*certificate-authority-data*|*certificate-authority-data*audience*"
    found = f'case "$KUBERNETES_EXEC_INFO" in *extensions*) ;; {needed}) {printing({"token": shell.token})} ;; esac'
    shell.account = plugin(found, interactiveMode="Never", provideClusterInfo=True)


@works
def a_server_in_capitals(shell: Shell) -> None:
    shell.server["server"] = shell.server["server"].replace("https", "HTTPS")


@works
def keys_in_the_file(shell: Shell) -> None:
    identity = shell.cluster.authority.client("embedded-judged", "system:masters")
    shell.account = {
        "client-certificate-data": base64.b64encode(identity.certificate.read_bytes()).decode(),
        "client-key-data": base64.b64encode(identity.key.read_bytes()).decode(),
        "client-key": "",
        "token": None,
    }


@works
def a_plugin_that_prints_on_stderr(shell: Shell) -> None:
    script = f"echo open this page >&2; {printing({'token': shell.token})}"
    shell.account = plugin(script, interactiveMode="Never")


@works
def one_of_several_files_is_empty(shell: Shell) -> None:
    shell.variables["KUBECONFIG"] = f"{shell.write('empty', '')}:{shell.directory / 'config'}"


@works
def lists_that_are_null_in_the_first_file(shell: Shell) -> None:
    nulls = {"clusters": None, "users": None, "contexts": None, "current-context": "c"}
    shell.variables["KUBECONFIG"] = f"{shell.write('nulls', nulls)}:{shell.directory / 'config'}"


@works
def an_odd_entry_that_is_not_used(shell: Shell) -> None:
    odd = {"users": [{"name": "other", "user": None}], "contexts": [{"name": "d", "context": None}]}
    shell.variables["KUBECONFIG"] = f"{shell.directory / 'config'}:{shell.write('odd', odd)}"


@works
def the_current_context_of_the_first_file(shell: Shell) -> None:
    second = {"current-context": "d", "contexts": [{"name": "d", "context": {"cluster": "none"}}]}
    shell.variables["KUBECONFIG"] = f"{shell.directory / 'config'}:{shell.write('second', second)}"


@works
def the_systems_certificates(shell: Shell) -> None:
    shell.variables["SSL_CERT_FILE"] = shell.server.pop("certificate-authority")


@works
def no_verification(shell: Shell) -> None:
    del shell.server["certificate-authority"]
    shell.server["insecure-skip-tls-verify"] = True


@works
def the_name_of_a_certificate(shell: Shell) -> None:
    shell.server["tls-server-name"] = str(urlsplit(shell.cluster.url).hostname)
    shell.server["server"] = shell.server["server"].replace("https://", "https://", 1)


@works
def an_account_that_acts_for_another(shell: Shell) -> None:
    impersonator = shell.cluster.authority.client("impersonator", "system:masters")
    shell.account = {
        "client-certificate": str(impersonator.certificate),
        "client-key": str(impersonator.key),
        "as": "somebody",
        "as-groups": ["readers", "runners"],
        "as-user-extra": {"reason": ["a test", "two"]},
    }


def behind(shell: Shell, proxy: str) -> None:
    """Have a cluster whose name only the kubeconfig's proxy resolves."""
    address = urlsplit(shell.cluster.url)
    shell.server |= {
        "server": f"https://{NAME}:{address.port}",
        "tls-server-name": str(address.hostname),
        "proxy-url": proxy,
    }


@works
def a_proxy_with_a_password(shell: Shell) -> None:
    behind(shell, shell.proxy("http", "me:word"))
    shell.variables["NO_PROXY"] = "*"  # is for the proxies of the environment


@works
def a_socks_proxy_that_resolves_the_name(shell: Shell) -> None:
    pytest.importorskip("socks")
    behind(shell, shell.proxy("socks5", "me:word"))


@works
def a_socks_proxy_of_the_environment(shell: Shell) -> None:
    pytest.importorskip("socks")
    shell.variables["HTTPS_PROXY"] = shell.proxy("socks5")


@works
def a_proxy_for_everything_which_kubectl_does_not_read(shell: Shell) -> None:
    shell.variables["ALL_PROXY"] = f"http://me:{SECRET}@127.0.0.1:9"


@works
def a_host_without_a_proxy(shell: Shell) -> None:
    shell.variables["HTTPS_PROXY"] = f"http://me:{SECRET}@127.0.0.1:9"
    shell.variables["NO_PROXY"] = f"elsewhere, {urlsplit(shell.cluster.url).hostname}"


def further(name: str) -> dict[str, Any]:
    """A container that waits."""
    image = {"image": images.reference("minimal"), "imagePullPolicy": "Never"}
    return {"name": name, **image, "command": ["sh", "-c", "sleep 1000 & wait"]}


@works
def an_ephemeral_container(shell: Shell) -> None:
    shell.container = "debugger"
    path = f"/api/v1/namespaces/default/pods/{POD}"
    shell.cluster.api.change(f"{path}/ephemeralcontainers", {"ephemeralContainers": [further("debugger")]})

    def runs() -> bool:
        found = shell.cluster.api.get(path)["status"].get("ephemeralContainerStatuses") or []
        return any("running" in each["state"] for each in found)

    wait_until(runs, "it to run")


@works
def an_init_container_that_runs(shell: Shell) -> None:
    shell.pod, shell.container = "judged-init", "first"
    pod = shell.cluster.pod(shell.pod, settings={"initContainers": [further("first")]}, phase="Pending")
    rig = shell.stack.enter_context(pod)
    wait_until(lambda: "running" in rig.status["initContainerStatuses"][0]["state"], "it to run")


@refused
def a_proxy_without_the_password(shell: Shell) -> None:
    shell.server["proxy-url"] = shell.proxy("http", f"me:{SECRET}").replace(SECRET, "other")


@refused
def a_proxy_of_an_unknown_kind(shell: Shell) -> None:
    shell.server["proxy-url"] = f"gopher://me:{SECRET}@127.0.0.1:9"


@refused
def a_proxy_whose_host_is_no_name(shell: Shell) -> None:
    shell.server["proxy-url"] = f"http://me:{SECRET}@exa mple:80"


@refused
def a_socks_proxy_that_refuses_the_password(shell: Shell) -> None:
    pytest.importorskip("socks")
    behind(shell, shell.proxy("socks5", "me:word").replace("word", SECRET))


@refused
def a_server_that_is_no_url(shell: Shell) -> None:
    shell.server["server"] = f"https://[{SECRET}"
    shell.variables["HTTPS_PROXY"] = "http://127.0.0.1:9"


@refused
def a_token_with_a_line_break(shell: Shell) -> None:
    shell.account = {"token": f"{SECRET}\n{SECRET}"}


@refused
def a_token_file_that_is_missing(shell: Shell) -> None:
    shell.account = {"tokenFile": str(shell.directory / "nothing")}


@refused
def a_token_file_that_is_empty(shell: Shell) -> None:
    shell.account = {"tokenFile": str(shell.write("token", "\n"))}


@refused
def keys_that_do_not_belong_together(shell: Shell) -> None:
    first, second = (shell.cluster.authority.client(name, "system:masters") for name in ("one", "two"))
    shell.account = {"client-certificate": str(first.certificate), "client-key": str(second.key)}


@refused
def a_user_that_is_null(shell: Shell) -> None:
    shell.account = None


@refused
def a_user_that_does_not_exist(shell: Shell) -> None:
    shell.context["user"] = "nobody-at-all"


@refused
def a_context_without_a_cluster(shell: Shell) -> None:
    shell.context = {"user": "me"}
    shell.account = {"auth-provider": {"name": "oidc", "config": {"client-secret": SECRET}}}


@refused
def a_user_that_is_a_text(shell: Shell) -> None:
    shell.write("text", {"users": [{"name": "me", "user": SECRET}]})
    shell.variables["KUBECONFIG"] = f"{shell.directory / 'text'}:{shell.directory / 'config'}"


@refused
def a_password_that_is_a_number(shell: Shell) -> None:
    shell.account = {"username": SECRET, "password": 12345678}


@refused
def an_account_that_acts_for_one_who_may_nothing(shell: Shell) -> None:
    identity = shell.cluster.authority.client("impersonator-2", "system:masters")
    shell.account = {"client-certificate": str(identity.certificate), "client-key": str(identity.key)}
    shell.account["as"] = "a-stranger"


@refused
def groups_without_an_account(shell: Shell) -> None:
    shell.account = {"token": shell.token, "as-groups": ["runners"]}


@refused
def an_authority_that_is_no_certificate(shell: Shell) -> None:
    shell.server["certificate-authority"] = str(shell.write("ca", SECRET))


@refused
def a_plugin_that_needs_a_terminal(shell: Shell) -> None:
    shell.account = plugin(printing({"token": shell.token}), interactiveMode="Always")


@pytest.fixture(scope="module")
def judged(kubernetes_cluster: KubernetesCluster) -> Iterator[tuple[KubernetesCluster, str]]:
    """The cluster with a pod, and the token of an account that may use it."""
    user = json.loads(kubernetes_cluster.user("by-kubectl", GET_PODS, EXEC, token=True).read_text())
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    kubernetes_cluster.api.create(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": "runners"},
            "subjects": [{"kind": "Group", "name": "runners"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "by-kubectl"},
        },
    )
    with kubernetes_cluster.pod(POD):
        yield kubernetes_cluster, user["users"][0]["user"]["token"]


@pytest.fixture
def shell(judged: tuple[KubernetesCluster, str], workdir: Path) -> Iterator[Shell]:
    with ExitStack() as stack:
        yield Shell(judged[0], workdir, judged[1], stack)


@contextmanager
def kubectl(shell: Shell, variables: Mapping[str, str]) -> Iterator[Callable[[], tuple[int, str, str]]]:
    """Run `kubectl exec` in that shell, beside what is tried meanwhile; its result has exit code and output."""
    container = ["--container", shell.container] if shell.container else []
    clean = {name: value for name, value in os.environ.items() if name.upper() not in PROXIES}
    with subprocess.Popen(
        [
            "kubectl",
            f"--cache-dir={shell.cluster.directory}/cache",
            "exec",
            shell.pod,
            *container,
            "--",
            "hostname",
        ],
        env={**clean, "HOME": str(shell.directory), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def result() -> tuple[int, str, str]:
            stdout, stderr = process.communicate(timeout=30)
            return process.returncode, stdout, stderr

        yield result


def enter(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the variables of the shell."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("case", WORKS, ids=lambda case: case.__name__)
def test_what_kubectl_can_do(case: Case, shell: Shell, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    case(shell)
    variables = shell.use()
    enter(variables, monkeypatch)
    target = {"pod": shell.pod} | ({"container": shell.container} if shell.container else {})
    with kubectl(shell, variables) as judge:
        ours = user.handler(target).run(["hostname"], timeout=60)
        _, stdout, stderr = judge()

    assert stdout == f"{shell.pod}\n", stderr
    assert ours.stdout.decode() == stdout


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_what_kubectl_cannot_do_either(
    case: Case, shell: Shell, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    case(shell)
    variables = shell.use()
    enter(variables, monkeypatch)
    with kubectl(shell, variables) as judge:
        with pytest.raises(OcattachError) as raised:
            user.handler(pod=POD, ask=NoPerson("Without a terminal")).run(["hostname"], timeout=20)
        code, *_ = judge()

    assert code != 0
    assert SECRET not in raised.value.message + raised.value.hint
    assert "Error" not in raised.value.message, "a cause, not the name of an exception"
