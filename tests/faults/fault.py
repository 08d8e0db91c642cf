"""What a fault is to the bench."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from tests.faults.clients import Way
from tests.faults.site import Site


class Fault(ABC):
    """Something that goes wrong on a site, and is over some time later."""

    name: ClassVar[str]
    what: ClassVar[str]
    """For the table."""

    sites: ClassVar[Sequence[str]]
    """Where it can happen, by the names of SITES."""

    short_sites: ClassVar[Sequence[str]]
    """Where the short form has it; the first of them all unless said."""

    short: ClassVar[int] = 1
    long: ClassVar[int] = 3
    """Repetitions."""

    seconds: ClassVar[float] = 0
    """How long it lasts; 0: it is over at once."""

    cuts: ClassVar[bool] = True
    """Whether what is open through the link must end."""

    ends_daemon: ClassVar[bool] = False
    ends_link: ClassVar[bool] = False
    """Whether only the next `ocattach NAME` makes a link again."""

    through_link: ClassVar[bool] = True
    """Whether its clients go through the link."""

    renews: ClassVar[bool] = False
    """Whether the environment begins anew, without the tests' own part of it."""

    simulated: ClassVar[str] = ""
    """In what it differs from the real thing, if it does."""

    settles: ClassVar[float] = 15
    """Seconds after `ocattach --disconnect` until nothing may be left of it in the environment."""

    senders: ClassVar[int] = 4
    readers: ClassVar[int] = 1
    has_terminal: ClassVar[bool] = False
    """Whether a TUI is attached all the while."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "short_sites" not in cls.__dict__:
            cls.short_sites = cls.sites[:1]

    @contextmanager
    def prepared(self, site: Site) -> Iterator[None]:  # noqa: ARG002  for those that need something first
        """Have what it needs, before the link is there."""
        yield

    def way(self, site: Site) -> Way:
        """How its clients reach the daemon."""
        return site.through_the_link()

    @abstractmethod
    def induce(self, site: Site) -> None:
        """Let it happen."""

    def restore(self, site: Site) -> None:  # noqa: B027  many are over at once
        """Let it be over."""

    def finish(self, site: Site) -> None:  # noqa: B027  as above
        """Let go of all that is not the site's own link's, before it is looked at what that has left."""

    def figures(self) -> Mapping[str, float | str]:
        """What else is worth to be known of it, afterwards."""
        return {}
