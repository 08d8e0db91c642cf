"""Connections to an API server for requests and WebSockets alike: certificates and proxies as kubectl has them."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from urllib3.connection import HTTPConnection

from ocattach.errors import ConfigurationError
from ocattach.opencode.endpoint import is_loopback
from ocattach.transports.shared import AT_ONCE

SOCKS = {"socks5": "socks5h", "socks5h": "socks5h"}
"""The SOCKS schemes of kubectl (Go's net/http), which lets the proxy resolve names with both."""

VIEW = "Check it: kubectl config view"
PROXY_SCHEMES = ("http", "https", *SOCKS)


def open_pools(configuration: Configuration, timeout: float) -> urllib3.PoolManager:
    """Return the connections to the API server, of which none is dialled yet. Raises ConfigurationError."""
    options: dict[str, Any] = {
        "ssl_context": tls_context(configuration),
        "server_hostname": configuration.tls_server_name,
        "retries": False,
        "maxsize": AT_ONCE,
        "timeout": urllib3.Timeout(total=timeout),
        "socket_options": [
            *HTTPConnection.default_socket_options,
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ],
    }
    if not configuration.verify_ssl:  # as the kubeconfig has it
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if not configuration.proxy:
        return urllib3.PoolManager(**options)
    try:
        return proxy_pools(configuration.proxy, options)
    except urllib3.exceptions.LocationValueError:  # its message has the whole URL
        raise ConfigurationError(
            "The URL of the proxy to the cluster has an invalid host", hint=VIEW
        ) from None


def proxy_pools(url: str, options: Mapping[str, Any]) -> urllib3.PoolManager:
    """Return connections through a proxy, whose URL may contain an account."""
    proxy = urlsplit(url)
    if proxy.scheme in SOCKS:
        return socks_manager()(f"{SOCKS[proxy.scheme]}{url[len(proxy.scheme) :]}", **options)
    account = ":".join(unquote(part or "") for part in (proxy.username, proxy.password))
    basic = f"Basic {b64encode(account.encode()).decode()}"
    headers = {"proxy-authorization": basic} if proxy.username else None
    return urllib3.ProxyManager(url, proxy_headers=headers, **options)


def socks_manager() -> Callable[..., urllib3.PoolManager]:
    """Return urllib3's pools behind a SOCKS proxy. Raises ConfigurationError without PySocks."""
    if find_spec("socks") is None:
        raise ConfigurationError(
            "The Kubernetes cluster is behind a SOCKS proxy, which requires the Python package PySocks",
            hint="Install it where ocattach is installed: pipx inject ocattach PySocks, or pip install PySocks",
        )
    from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415 - fails without PySocks

    return SOCKSProxyManager


def dial(pools: urllib3.PoolManager, server: str) -> socket.socket:
    """Return a connection to the API server after the TLS handshake, outside of the pools."""
    pool: Any = pools.connection_from_url(server)
    connection = pool._new_conn()  # noqa: SLF001 - the same certificates and proxies as for requests
    if pool.proxy is None:
        connection.connect()
    else:
        pool._prepare_proxy(connection)  # noqa: SLF001
    dialled: socket.socket = connection.sock
    return dialled


def tls_context(configuration: Configuration) -> ssl.SSLContext:
    """Return the TLS settings: the CAs of the kubeconfig, or the system's, and the client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    key = "certificate-authority"
    try:
        if configuration.ssl_ca_cert:
            context.load_verify_locations(configuration.ssl_ca_cert)
        else:
            context.load_default_certs()
        key = "client-certificate or client-key"
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password=no_passphrase)
    except OSError as error:
        reason = "not a PEM file" if isinstance(error, ssl.SSLError) else error.strerror
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            reason = "they do not belong together"
        raise ConfigurationError(f"Cannot use the kubeconfig's {key}: {reason}", hint=VIEW) from None
    return context


def no_passphrase() -> str:
    """Return no passphrase: OpenSSL would ask for one on the terminal. kubectl does not support encrypted keys."""
    return ""


def proxy_of_environment(server: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for the API server, as Go's net/http reads it."""
    url = urlsplit(server)
    found = {
        name: environ.get(name.upper()) or environ.get(name) or ""
        for name in (f"{url.scheme}_proxy", "no_proxy")
    }
    proxy, exceptions = found.values()
    host = url.hostname or ""
    if not proxy or is_loopback(host) or should_bypass_proxies(server, exceptions):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def check_url(url: str, name: str, schemes: Sequence[str]) -> None:
    """Raise ConfigurationError if this is not a URL with a host. The URL is not shown: it may contain a password."""
    try:
        parts = urlsplit(url)
        invalid = parts.scheme not in schemes or not parts.hostname or parts.port == 0
    except ValueError:
        invalid = True
    if invalid:
        raise ConfigurationError(
            f"{name} is not a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}",
            hint=VIEW,
        )
