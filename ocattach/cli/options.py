"""What was asked for on the command line, parsed."""

from dataclasses import dataclass

from ocattach.config.spec import ConnectionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the main command; each field is named after its option."""

    targets: tuple[str, ...]
    save: str | None
    list_: bool
    status: bool
    watch: bool
    remove: str | None
    disconnect: bool
    stop: bool
    all_: bool
    workdir: str | None
    session: str | None
    continue_: bool
    fork: bool
    print_url: bool
    no_start: bool
    trust: bool
    force: bool
    namespace: str | None
    context: str | None
    container: str | None
    user: str | None
    identity: str | None
    port: int | None
    timeout: float | None
    output: str
    verbose: bool
    quiet: bool
    tui_arguments: tuple[str, ...]

    @property
    def target(self) -> str | None:
        """The one connection that is meant; None where none was named."""
        return self.targets[0] if self.targets else None

    def applied_to(self, spec: ConnectionSpec) -> ConnectionSpec:
        """The connection with what was typed put over what was saved."""
        return spec.with_overrides(
            workdir=self.workdir,
            user=self.user,
            identity=self.identity,
            port=self.port,
            namespace=self.namespace,
            context=self.context,
            container=self.container,
        )
