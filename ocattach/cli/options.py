"""The parsed command line."""

from dataclasses import dataclass

from ocattach.config.spec import ConnectionSpec
from ocattach.config.variables import absolute

WHERE = ("user", "identity", "port", "namespace", "context", "container")
"""The options that change the target; which of them it takes depends on its scheme."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The arguments and options of the main command; fields are named after them."""

    targets: tuple[str, ...] = ()
    save: str | None = None
    list_: bool = False
    status: bool = False
    watch: bool = False
    short: bool = False
    remove: str | None = None
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
