"""The configuration of the official client: the kubeconfig, or the service account of our own pod."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger, parse_rfc3339

from ocattach.config.suggestion import closest
from ocattach.config.targets.kubernetes import SERVICE_HOST, kubeconfig_files
from ocattach.errors import AuthenticationError, ConfigurationError, EnvironmentNotFoundError, TimedOutError

PLUGIN_SECONDS = 60
"""Time for a plugin to print credentials, for which it may open a browser."""


def load_configuration(context: str | None, directory: Path) -> Configuration:
    """Return the SDK's configuration for a context; keys that have to be files are written to the directory.

    Raises ConfigurationError, EnvironmentNotFoundError for an unknown context, and AuthenticationError when a plugin
    gives no credentials.
    """
    configuration = Configuration()
    configuration.retries = False
    files = [str(path) for path in kubeconfig_files(os.environ) if path.exists()]
    try:
        if not files and SERVICE_HOST in os.environ and context is None:
            load_incluster_config(client_configuration=configuration)
            return configuration
        merger = KubeConfigMerger(os.pathsep.join(files))
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
        loader.load_and_set(configuration)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        # A kubeconfig contains keys, so messages that may quote it are not shown.
        what = str(error).splitlines()[0] if isinstance(error, ConfigException) else type(error).__name__
        raise ConfigurationError(
            f"Cannot use the kubeconfig ({', '.join(files) or 'of this pod'}): {what}",
            hint="Try: kubectl config view",
        ) from None
    return configuration


def no_kubeconfig() -> ConfigurationError:
    """Return the error for a machine without a kubeconfig."""
    looked = ", ".join(str(path) for path in kubeconfig_files(os.environ))
    return ConfigurationError(f"No kubeconfig found at: {looked}", hint="Name one: export KUBECONFIG=FILE")


def check_context(context: str | None, config: Mapping[str, Any]) -> None:
    """Check that the kubeconfig has the context."""
    names = [str(entry["name"]) for entry in config.get("contexts") or []]
    if context is None and not config.get("current-context"):
        raise EnvironmentNotFoundError(
            "The kubeconfig has no current context", hint=f"Name one with --context: {', '.join(names)}"
        )
    if context is not None and context not in names:
        near = closest(context, names)
        question = f"Did you mean {' or '.join(near)}? " if near else ""
        raise EnvironmentNotFoundError(
            f"The kubeconfig has no context {context}", hint=f"{question}Try: kubectl config get-contexts"
        )


class ConfigLoader(KubeConfigLoader):  # type: ignore[misc]
    """The official loader with our own plugin call: its own has no timeout, and continues anonymously on failure."""

    def _load_from_exec_plugin(self) -> bool:
        if "exec" not in self._user:
            return False
        base = self._get_base_path(self._cluster.path)
        status = run_plugin(ExecProvider(self._user["exec"], base, self._cluster))
        if "token" in status:
            self.token = f"Bearer {status['token']}"
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
            self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True


def run_plugin(plugin: ExecProvider) -> Mapping[str, Any]:
    """Run a credential plugin of the kubeconfig and return its `status`."""
    name = plugin.args[0]
    spec: dict[str, Any] = {"interactive": False}
    if plugin.cluster:
        spec["cluster"] = dict(plugin.cluster.value)
    info = json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})
    try:
        ended = subprocess.run(
            plugin.args,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=plugin.cwd,
            env={**plugin.env, "KUBERNETES_EXEC_INFO": info},
            timeout=PLUGIN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOutError(
            f"The credential plugin {name} did not end within {PLUGIN_SECONDS} s",
            hint="It may want to be logged in anew: try kubectl get pods",
        ) from None
    except OSError as error:
        raise AuthenticationError(
            f"The credential plugin {name} cannot be run: {error.strerror}",
            hint="Install it, or correct the user in your kubeconfig: kubectl config view",
        ) from error
    if ended.returncode != 0:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise AuthenticationError(
            f"The credential plugin {name} failed with exit code {ended.returncode}"
            + (f": {said[-1]}" if said else ""),
            hint="Log in again as for kubectl, then reconnect",
        )
    try:
        answer = json.loads(ended.stdout)
        status: Mapping[str, Any] = answer["status"]
        if answer["apiVersion"] == plugin.api_version and ("token" in status or "clientKeyData" in status):
            return status
    except (ValueError, TypeError, KeyError):
        pass  # the output may contain a credential, so it is not shown
    raise AuthenticationError(
        f"The credential plugin {name} gave no credentials of {plugin.api_version}",
        hint="Check the plugin: kubectl config view",
    )
