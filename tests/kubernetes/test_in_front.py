"""What is in front of an API server: a gateway that limits the length of a URL."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.conftest import User
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


@pytest.fixture
def nginx(kubernetes_cluster: KubernetesCluster, user: User, workdir: Path) -> Iterator[Nginx]:
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
    account = json.loads(kubernetes_cluster.user("by-gateway", GET_PODS, EXEC, token=True).read_text())
    account["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    (workdir / "kubeconfig").write_text(json.dumps(account))
    user.take(workdir / "kubeconfig")
    nginx = Nginx(directory, config)
    yield nginx
    nginx.close()


def test_a_gateway_with_short_header_buffers_passes_every_command(
    kubernetes_cluster: KubernetesCluster, user: User, nginx: Nginx
) -> None:
    with kubernetes_cluster.pod("gateway") as pod:
        handler = user.handler(pod=pod.name)
        daemon = handler.start_daemon().daemon
        assert daemon
        assert handler.connect(daemon.port).route_name == "relay"
        handler.disconnect()

    asked = [request for request in nginx.requests if "/exec?" in request]
    assert len(asked) == 3, "the probe, the start and the relay"
    assert max(map(len, asked)) < 1000
