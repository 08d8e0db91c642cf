"""The parsed command line."""

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from ocattach.config.spec import ConnectionSpec
from ocattach.config.variables import absolute

WHERE = ("user", "identity", "port", "namespace", "context", "container")
"""The options that change the target; which of them it takes depends on its scheme."""


class Options(NamedTuple):
    """The arguments and options of the main command; fields are named after them."""

    targets: tuple[str, ...] = ()
    save: str | None = None
    list_: bool = False
    status: bool = False
    watch: bool = False
    short: bool = False
    remove: str | None = None
    default: str | None = None
    disconnect: bool = False
    stop: bool = False
    all_: bool = False
    workdir: str | None = None
    session: str | None = None
    continue_: bool = False
    fork: bool = False
    print_url: bool = False
    no_start: bool = False
    trust: bool = False
    force: bool = False
    namespace: str | None = None
    context: str | None = None
    container: str | None = None
    user: str | None = None
    identity: str | None = None
    port: int | None = None
    timeout: float | None = None
    output: str = "table"
    verbose: bool = False
    quiet: bool = False
    tui_arguments: tuple[str, ...] = ()

    @property
    def target(self) -> str | None:
        """The named connection; None if none was given."""
        return self.targets[0] if self.targets else None

    def applied_to(self, spec: ConnectionSpec) -> ConnectionSpec:
        """The connection with the typed options applied."""
        options = {name: getattr(self, name) for name in WHERE}
        workdir = self.workdir
        if workdir is not None and spec.target.is_this_machine:
            workdir = absolute(workdir)
        return spec.with_overrides(workdir=workdir, **options)


def absolute_path(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    """Make a typed path absolute (callback of --identity)."""
    return path and absolute(path)


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where something runs, and as whom."""
    for option in reversed(
        (
            click.option(
                "--workdir", metavar="DIR", help="Working directory in the environment: absolute, or ~/…"
            ),
            click.option(
                "--user", metavar="NAME", help="User to run as in the environment (ssh: to log in as)."
            ),
            click.option(
                "--identity",
                type=click.Path(),
                callback=absolute_path,
                metavar="FILE",
                help="ssh: private key file.",
            ),
            click.option(
                "--port", type=click.IntRange(1, 65535), metavar="N", help="ssh: port of the ssh server."
            ),
            click.option("--namespace", metavar="NAME", help="k8s: namespace."),
            click.option("--context", metavar="NAME", help="k8s: context of the kubeconfig."),
            click.option("--container", metavar="NAME", help="k8s: container of the pod."),
            click.option(
                "--trust", is_flag=True, help="Approve the project's definition in its current form."
            ),
        )
    ):
        function = option(function)
    return function
