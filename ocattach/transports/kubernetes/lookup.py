"""The pods that a target means, and the error when there are none."""

from ocattach.config.suggestion import question
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.errors import EnvironmentNotFoundError, OcattachError
from ocattach.transports.kubernetes.cluster import Cluster, NotFoundError
from ocattach.transports.kubernetes.pods import Pod, selector_text


def find_pods(cluster: Cluster, target: KubernetesTarget) -> list[Pod]:
    """Return the pods that match the target. Raises EnvironmentNotFoundError when there are none."""
    try:
        if target.pod is not None:
            return [Pod.from_json(cluster.get(cluster.path("pods", target.pod)))]
        selector = target.selector
        if not selector:
            owner = target.deployment or target.statefulset or ""
            path = cluster.path(f"{target.kind}s", owner, group="apis/apps/v1")
            selector = selector_text(cluster.get(path)["spec"]["selector"])
    except NotFoundError as error:
        raise not_found(cluster, target, error) from error
    found = cluster.get(cluster.path("pods"), labelSelector=selector)["items"]
    if not found:
        raise EnvironmentNotFoundError(
            f"{target.name} has no pods in namespace {cluster.namespace}",
            hint=f"Try: {cluster.kubectl('get', 'pods', '--selector', selector)}",
        )
    return [Pod.from_json(each) for each in found]


def not_found(cluster: Cluster, target: KubernetesTarget, error: NotFoundError) -> EnvironmentNotFoundError:
    """Return the error for a missing target, with similar names or the missing namespace."""
    group, kind = ("api/v1", "pods") if target.pod else ("apis/apps/v1", f"{target.kind}s")
    wanted = target.pod or target.deployment or target.statefulset or ""
    missing = f"No {target.name} in namespace {cluster.namespace}"
    hint = f"Try: {cluster.kubectl('get', kind)}"
    try:
        found = cluster.get(cluster.path(kind, group=group))["items"]
        if not found:
            cluster.get(f"/api/v1/namespaces/{cluster.namespace}")
    except NotFoundError:
        return EnvironmentNotFoundError(
            f"The cluster has no namespace {cluster.namespace}",
            hint="Name another with --namespace; list them: kubectl get namespaces",
        )
    except OcattachError:  # listing may be forbidden
        return EnvironmentNotFoundError(f"{missing} ({error.message})", hint=hint)
    names = [str(each["metadata"]["name"]) for each in found]
    return EnvironmentNotFoundError(missing, hint=f"{question(wanted, names)} {hint}".lstrip())
