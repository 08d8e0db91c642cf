"""What a kubeconfig, or the service account of our own pod, says about access to a cluster."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import (
    FileOrData,
    KubeConfigLoader,
    parse_rfc3339,
)

from ocattach.config.suggestion import question
from ocattach.config.targets.kubernetes import SERVICE_HOST, kubeconfig_files
from ocattach.errors import ConfigurationError, EnvironmentNotFoundError
from ocattach.presence import exists, is_file
from ocattach.transports.base import Ask
from ocattach.transports.kubernetes.kubeconfig import Merger, read_bounded
from ocattach.transports.kubernetes.network import PROXY_SCHEMES, VIEW, check_url, proxy_of_environment
from ocattach.transports.kubernetes.plugin import PluginRun

TEXTS = (
    *("server", "proxy-url", "tls-server-name", "certificate-authority", "certificate-authority-data"),
    *("client-certificate", "client-certificate-data", "client-key", "client-key-data"),
    *("token", "tokenFile", "username", "password", "as", "as-uid"),
)
KINDS = {**dict.fromkeys(TEXTS, str), "as-groups": list, "as-user-extra": dict, "exec": dict}
"""The types of values."""

NAMED_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""Keys whose values are paths. The official loader would wait for a named pipe, and read a device without end."""

CLUSTER_INFO = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
"""What plugins get of a cluster's entry as it is (client-go: pkg/apis/clientauthentication/v1/types.go, Cluster)."""

LEGAL_IN_HEADER = "!#$&'*+-.^_`|~"
"""What is not escaped in the name of a header, besides letters and digits (client-go: transport/round_trippers.go)."""


class Access(NamedTuple):
    """How requests to a cluster are made."""

    configuration: Configuration
    """Address, certificates, proxy and credentials."""

    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers that name the account for which the user acts."""


def load_access(context: str | None, directory: Path, *, ask: Callable[[], Ask], timeout: float) -> Access:
    """Return the access to the cluster of a context; keys that have to be files are written to the directory.

    Raises ConfigurationError, EnvironmentNotFoundError for an unknown context, and AuthenticationError when a plugin
    gives no credentials. No message quotes a value, as a kubeconfig contains secrets.
    """
    configuration = Configuration()
    files = [str(path) for path in kubeconfig_files(os.environ) if exists(path)]
    impersonation: tuple[tuple[str, str], ...] = ()
    named = None
    try:
        if not files and SERVICE_HOST in os.environ and context is None:
            load_incluster_config(client_configuration=configuration)
        else:
            merger = Merger(os.pathsep.join(files))
            if merger.config is None:
                raise no_kubeconfig()
            check_context(context, merger.config.value)
            loader = ConfigLoader(
                config_dict=merger.config,
                active_context=context,
                config_base_path=None,
                config_persister=merger.save_changes,
                temp_file_path=str(directory),
            )
            loader.ask, loader.timeout = ask, timeout
            loader.check()
            loader.load_and_set(configuration)
            impersonation = tuple(loader.impersonation())
            named = getattr(loader, "proxy", None)
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        what = type(error).__name__
        if isinstance(error, ConfigException):
            what = str(error).splitlines()[0].removeprefix("Invalid kube-config file. ")
        if isinstance(error, OSError):
            what = f"{error.filename}: {error.strerror}"
        raise ConfigurationError(
            f"Cannot use the kubeconfig ({', '.join(files) or 'of this pod'}): {what}",
            hint="Try: kubectl config view",
        ) from None
    configuration.proxy = proxy(configuration.host, named)
    return Access(configuration, impersonation)


def proxy(server: str, named: str | None) -> str | None:
    """Return the proxy to the cluster: `proxy-url`, or the environment's. Raises ConfigurationError."""
    found = named or proxy_of_environment(server, os.environ)
    if found:
        name = "proxy-url in the kubeconfig" if named else "The value of HTTPS_PROXY or HTTP_PROXY"
        check_url(found, name, PROXY_SCHEMES)
    return found


def no_kubeconfig() -> ConfigurationError:
    """Return the error for a machine without a kubeconfig."""
    looked = ", ".join(str(path) for path in kubeconfig_files(os.environ))
    return ConfigurationError(f"No kubeconfig found at: {looked}", hint="Name one: export KUBECONFIG=FILE")


def check_context(context: str | None, config: Mapping[str, Any]) -> None:
    """Check that the kubeconfig has the context."""
    names = [str(entry["name"]) for entry in config.get("contexts") or []]
    if context is None and not config.get("current-context"):
        hint = f"Name one with --context: {', '.join(names)}" if names else "Show it: kubectl config view"
        raise EnvironmentNotFoundError("The kubeconfig has no current context", hint=hint)
    if context is not None and context not in names:
        hint = f"{question(context, names)} Try: kubectl config get-contexts".lstrip()
        raise EnvironmentNotFoundError(f"The kubeconfig has no context {context}", hint=hint)


class ConfigLoader(KubeConfigLoader):  # type: ignore[misc]
    """The official loader with our own plugin call: its own has no timeout, and continues anonymously on failure."""

    ask: Callable[[], Ask]
    timeout: float

    def check(self) -> None:
        """Raise ConfigurationError for an entry that is missing, or a value of the wrong type."""
        context = self._current_context["context"]
        if self._user is None and "user" in context:
            raise ConfigurationError(
                f"There is no user {context['user']}, named in {context.name}", hint=VIEW
            )
        if "server" not in self._cluster:
            raise ConfigurationError(f"{self._place('cluster')} has no server", hint=VIEW)
        for what, node in {"cluster": self._cluster, "user": self._user or {}}.items():
            for key, kind in KINDS.items():
                if key in node and not isinstance(node.value[key], kind):
                    raise ConfigurationError(f"{self._place(what)}: {key} is of the wrong type", hint=VIEW)
            for key in NAMED_FILES:
                file = Path(self._get_base_path(node.path), node.value[key]) if key in node else None
                if file is not None and exists(file) and not is_file(file):
                    raise ConfigurationError(
                        f"{self._place(what)}: {key}: {file} is not a regular file", hint=VIEW
                    )
        server = self._cluster["server"]
        check_url(server, f"{self._place('cluster')}: server", ("https", "http"))
        scheme, rest = server.split(":", 1)
        self._cluster.value["server"] = f"{scheme.lower()}:{rest}"  # the official loader compares it

    def _place(self, key: str) -> str:
        """Return the entry of the user or the cluster as messages name it."""
        node = {"user": self._user, "cluster": self._cluster}[key]
        return f"{node.path}: {key} {self._current_context['context'][key]}"

    def impersonation(self) -> Iterator[tuple[str, str]]:
        """Yield the headers by which the user acts for another account, as client-go has them."""
        if self._user is None:
            return
        user = self._user.value
        extra = user.get("as-user-extra") or {}
        others = {"Uid": [user["as-uid"]] if "as-uid" in user else [], "Group": user.get("as-groups") or []}
        others |= {f"Extra-{quote(key.lower(), LEGAL_IN_HEADER)}": values for key, values in extra.items()}
        if "as" in user:
            others["User"] = [user["as"]]
        elif any(others.values()):
            raise ConfigurationError(
                f"{self._place('user')} has as-uid, as-groups or as-user-extra without as", hint=VIEW
            )
        for name, values in others.items():
            for value in values:
                yield f"Impersonate-{name}", header_value(value, "as", self._place("user"))

    def _load_user_token(self) -> bool:
        user, key = self._user.value, "token"
        token = user.get(key, "")
        if "tokenFile" in user:
            file = Path(self._get_base_path(self._user.path), user["tokenFile"])
            with suppress(
                *([OSError] if token else [])
            ):  # which counts then (client-go: transport/token_source.go)
                content = read_bounded(file).decode().strip()
                token, key = (content, "tokenFile") if content else (token, key)
            if not token:
                raise ConfigurationError(f"{file}, tokenFile in {self._place('user')}, is empty", hint=VIEW)
        if not token:
            return False
        self.token = f"Bearer {header_value(token, key, self._place('user'))}"
        return True

    def _cluster_info(self) -> dict[str, Any]:
        """Return what plugins get about the cluster, with the content of the authority's file, as from client-go."""
        cluster = self._cluster.value
        info = {key: cluster[key] for key in CLUSTER_INFO if key in cluster}
        authority = FileOrData(
            cluster, "certificate-authority", file_base_path=self._get_base_path(self._cluster.path)
        ).as_data()
        if authority:
            info["certificate-authority-data"] = authority
        for extension in cluster.get("extensions") or []:
            if extension.get("name") == "client.authentication.k8s.io/exec":
                info["config"] = extension.get("extension")
        return info

    def _load_from_exec_plugin(self) -> bool:
        if "exec" not in self._user:
            return False
        base = self._get_base_path(self._cluster.path)
        command = self._user["exec"]
        mode = command.value.get("interactiveMode") or "IfAvailable"
        plugin = ExecProvider(command, base, self._cluster_info())
        status = PluginRun(plugin, mode, self.ask()).credentials(self.timeout)
        if "token" in status:
            self.token = f"Bearer {header_value(status['token'], 'exec', self._place('user'))}"
        elif "clientCertificateData" in status and "clientKeyData" in status:
            self.cert_file, self.key_file = (
                FileOrData(
                    status,
                    None,
                    data_key_name=key,
                    base64_file_content=False,
                    temp_file_path=self._temp_file_path,
                ).as_file()
                for key in ("clientCertificateData", "clientKeyData")
            )
        if status.get("expirationTimestamp"):
            with suppress(
                ValueError, TypeError, AttributeError
            ):  # not a time: the cluster says when it is over
                self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True


def header_value(value: object, key: str, place: str) -> str:
    """Return a value that is sent as a header. Raises ConfigurationError, without the value."""
    text = str(value)
    if not text.isascii() or not text.isprintable():
        raise ConfigurationError(
            f"{key} in {place} has a line break or another unusable character", hint=VIEW
        )
    return text
