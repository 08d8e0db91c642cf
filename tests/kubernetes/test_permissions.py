"""What a user may not do, and the way that is left."""

import subprocess
from contextlib import closing

import pytest

from ocattach.errors import AuthenticationError, UsageError
from ocattach.opencode.api import DaemonClient
from ocattach.transports.base import Question
from ocattach.tunnel.tunnel import Tunnel
from tests.kubernetes.conftest import User
from tests.rigs.kubernetes import GET_PODS, PORT_FORWARD, KubernetesCluster, Rule

PORT = 4099


def test_without_exec_a_daemon_on_a_known_port_is_reached_by_port_forward(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    questions = []
    with kubernetes_cluster.pod("forwarded") as pod:
        daemon = user.handler(pod=pod.name, port=PORT).start_daemon().daemon
        assert daemon

        def answer(question: Question) -> str:
            questions.append(question)
            return daemon.password if len(questions) > 1 else "mistyped"

        user.take(kubernetes_cluster.user("forwarder", GET_PODS, PORT_FORWARD))
        handler = user.handler(pod=pod.name, port=PORT, ask=answer)
        handler.check_available()
        found = handler.check_daemon_running().daemon
        assert found
        tunnel = handler.connect(PORT)
        client = DaemonClient(tunnel.url, username=found.username, password=found.password)

        assert client.await_ready("/work", timeout=30).startswith("1.")
        assert tunnel.route_name == "port-forward"
        assert all(question.secret and f"port {PORT}" in question.text for question in questions)
        assert len(questions) == 2
        with closing(Tunnel(ports=None)) as forwarded:
            handler.connect_ports(forwarded)
            local = f"http://127.0.0.1:{forwarded.forward(PORT)}"
            other = DaemonClient(local, username=found.username, password=found.password, timeout=60)
            assert [other.health().status for _ in range(2)] == [200, 200]
        refused = [
            request
            for request in kubernetes_cluster.requests()
            if (request.user, request.resource) == ("forwarder", "pods/exec")
        ]
        assert len(refused) == 2, "one to find the daemon, one to forward"
        with pytest.raises(AuthenticationError):  # so that `doctor` says what cannot be checked
            handler.run(["true"], timeout=30)


def test_a_wrong_password_is_asked_for_three_times_at_most(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    questions = []

    def answer(question: Question) -> str:
        questions.append(question)
        return "wrong"

    with kubernetes_cluster.pod("guarded") as pod:
        user.handler(pod=pod.name, port=PORT).start_daemon()
        user.take(kubernetes_cluster.user("guesser", GET_PODS, PORT_FORWARD))

        with pytest.raises(AuthenticationError, match="does not accept that password"):
            user.handler(pod=pod.name, port=PORT, ask=answer).check_daemon_running()
    assert len(questions) == 3


def test_without_exec_no_daemon_is_started_and_the_missing_verb_is_named(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("idle") as pod:
        user.take(kubernetes_cluster.user("looker", GET_PODS, PORT_FORWARD))
        handler = user.handler(pod=pod.name, port=PORT)

        assert not handler.check_daemon_running().running
        with pytest.raises(AuthenticationError, match="looker may not get pods/exec in namespace default"):
            handler.start_daemon()


def test_without_exec_and_without_a_known_port_the_way_out_is_shown(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("portless") as pod:
        user.take(kubernetes_cluster.user("portless", GET_PODS, PORT_FORWARD))

        with pytest.raises(AuthenticationError, match="may not get pods/exec") as raised:
            user.handler(pod=pod.name).check_daemon_running()
        assert "set its port in the connection" in raised.value.hint


def test_with_neither_both_missing_verbs_are_named(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.pod("closed") as pod:
        user.take(kubernetes_cluster.user("outsider", GET_PODS))

        with pytest.raises(AuthenticationError) as raised:
            user.handler(pod=pod.name, port=PORT).check_daemon_running()
    assert raised.value.exit_code == 4
    assert raised.value.message == (
        "outsider may not get pods/exec in namespace default; "
        "outsider may not get pods/portforward in namespace default"
    )
    assert raised.value.hint.endswith("kubectl --context test --namespace default auth can-i get pods/exec")


def test_a_home_directory_cannot_be_meant_where_nothing_may_be_run(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("homeless") as pod:
        user.take(kubernetes_cluster.user("homeless", GET_PODS, PORT_FORWARD))

        with pytest.raises(UsageError, match="~/work"):
            user.handler(pod=pod.name, port=PORT, workdir="~/work").check_daemon_running()


def test_asking_what_is_allowed_costs_no_request_where_exec_is(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("counted") as pod:
        before = len(kubernetes_cluster.requests())
        handler = user.handler(pod=pod.name)
        handler.check_available()
        handler.check_daemon_running()
        asked = [request.resource for request in kubernetes_cluster.requests()[before:]]

    assert asked == ["pods", "pods/exec"]


def test_with_create_alone_the_verb_of_websockets_is_named_with_the_command_for_a_role(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    """kubectl falls back to SPDY, which begins with a POST."""
    with kubernetes_cluster.pod("creatable") as pod:
        create: Rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
        kubeconfig = kubernetes_cluster.user("creator", GET_PODS, create)
        user.take(kubeconfig)
        subprocess.run(["kubectl", "--kubeconfig", kubeconfig, "exec", pod.name, "--", "true"], check=True)

        with pytest.raises(AuthenticationError, match="creator may not get pods/exec") as raised:
            user.handler(pod=pod.name).run(["true"], timeout=30)
    assert "create is not enough" in raised.value.hint
    assert "create role pods-exec --verb=get,create --resource=pods/exec" in raised.value.hint
