"""What is in front of an API server: a gateway that limits the length of a URL, or answers in its place."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.errors import UnreachableError
from tests.kubernetes.conftest import User
from tests.rigs.availability import require
from tests.rigs.http_daemon import free_port
from tests.rigs.http_gateway import Nginx
from tests.rigs.kubernetes import EXEC, GET_PODS, KubernetesCluster

NGINX = """\
daemon off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location ~ denied {{ return 403; }}
    location ~ broken {{ proxy_pass http://127.0.0.1:9; }}
    location ~ portal {{ default_type text/html; return 200 "<html><title>Log in to the\n network</title>"; }}
    location / {{
      proxy_pass {cluster};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
    }}
  }}
}}
"""
"""With the header buffers of nginx's own choice: four of 8 KiB."""


@pytest.fixture(scope="module")
def account_file(kubernetes_cluster: KubernetesCluster) -> Path:
    """The kubeconfig of an account with a token."""
    return kubernetes_cluster.user("by-gateway", GET_PODS, EXEC, token=True)


@pytest.fixture
def nginx(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path, account_file: Path
) -> Iterator[Nginx]:
    """An nginx in front of the API server; the user's kubeconfig leads to it."""
    identity = kubernetes_cluster.authority.server("gateway", "127.0.0.1")
    port, directory = free_port(), workdir / "nginx"
    directory.mkdir()
    config = NGINX.format(
        directory=directory,
        port=port,
        certificate=identity.certificate,
        key=identity.key,
        cluster=kubernetes_cluster.url,
    )
    account = json.loads(account_file.read_text())
    account["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    (workdir / "kubeconfig").write_text(json.dumps(account))
    user.take(workdir / "kubeconfig")
    with require("k8s"):
        nginx = Nginx(directory, config)
    yield nginx
    nginx.close()


def test_a_gateway_with_short_header_buffers_passes_every_command(
    kubernetes_cluster: KubernetesCluster, user: User, nginx: Nginx
) -> None:
    with kubernetes_cluster.pod("gateway") as pod:
        handler = user.handler(pod=pod.name)
        assert not handler.check_daemon_running().running
        assert handler.connect(4096).route_name == "relay"
        handler.disconnect()

    asked = [request for request in nginx.requests if "/exec?" in request]
    assert len(asked) == 2, "the probe and the relay"
    assert max(map(len, asked)) < 1000


@pytest.mark.parametrize(
    ("pod", "answer"),
    [
        ("denied", "status 403 with a web page, titled '403 Forbidden'"),
        ("broken", "status 502 with a web page, titled '502 Bad Gateway'"),
        ("portal", "status 200 with a web page, titled 'Log in to the network'"),
    ],
)
@pytest.mark.usefixtures("nginx")
def test_a_page_in_place_of_the_api_server_is_said_to_be_a_proxys(user: User, pod: str, answer: str) -> None:
    with pytest.raises(
        UnreachableError, match="A proxy or gateway answers in place of the API server"
    ) as raised:
        user.handler(pod=pod).check_available()

    assert raised.value.message.endswith(answer)
    assert "NO_PROXY" in raised.value.hint
