"""A session as ocattach stores it: numbers and short texts, no messages."""

from dataclasses import astuple, dataclass, field
from typing import Any, Self

from ocattach.opencode.sessions import is_session_id, stamp
from ocattach.untrusted_json import shortened, table

LONGEST_ID = 80
LONGEST_TITLE = 300
LONGEST_NAME = 100
LONGEST_PATH = 1000
"""Characters that are kept of texts from an environment."""

ORIGIN = "origin"
"""The key of a session's origin in its metadata."""

LARGEST = 10**12
"""The largest amount of tokens or dollars. The index adds up a million of them in 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens that a session used."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total(self) -> int:
        """The sum."""
        return sum(astuple(self))

    @classmethod
    def from_api(cls, content: Any) -> Self:
        """Read `tokens` of a session or message; what is not there counts as none."""
        tokens = table(content)
        cache = table(tokens.get("cache"))
        return cls(
            input=whole(tokens.get("input")),
            output=whole(tokens.get("output")),
            reasoning=whole(tokens.get("reasoning")),
            cache_read=whole(cache.get("read")),
            cache_write=whole(cache.get("write")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session of one environment."""

    id: str
    environment: str
    """The id of the environment that has it: see `config.spec.environment_id`."""

    origin: str = ""
    """The name under which it was made, as its own metadata has it or the list that showed it; empty: not known."""

    is_native: bool = False
    """Whether the origin comes from its metadata."""

    title: str = ""
    directory: str = ""
    project: str = ""
    parent: str | None = None
    """The session that created it; None for a root."""

    created: int = 0
    updated: int = 0
    """Milliseconds since the epoch, as OpenCode has them."""

    archived: int | None = None
    cost: float = 0.0
    """In US dollars, by the prices known to the daemon."""

    tokens: Tokens = field(default_factory=Tokens)
    model: str = ""
    provider: str = ""
    agent: str = ""

    @property
    def is_root(self) -> bool:
        """Whether no other session created it."""
        return self.parent is None

    def identity_json(self) -> dict[str, Any]:
        """The keys that identify it, as JSON."""
        return {key: getattr(self, key) for key in ("id", "origin", "environment", "title", "directory")}

    @classmethod
    def from_api(cls, content: Any, *, environment: str) -> Self | None:
        """Read a session from the API; None if it is malformed."""
        content = table(content)
        identifier = content.get("id")
        if not is_session_id(identifier):
            return None
        time, model = table(content.get("time")), table(content.get("model"))
        origin = words(table(content.get("metadata")).get(ORIGIN), LONGEST_NAME)
        parent = content.get("parentID")
        return cls(
            id=identifier,
            environment=environment,
            origin=origin,
            is_native=bool(origin),
            title=words(content.get("title"), LONGEST_TITLE),
            directory=words(content.get("directory"), LONGEST_PATH),
            project=words(content.get("projectID"), LONGEST_ID),
            parent=parent if is_session_id(parent) else None,
            created=stamp(time.get("created")),
            updated=stamp(time.get("updated")),
            archived=stamp(time.get("archived")) or None,
            cost=amount(content.get("cost")),
            tokens=Tokens.from_api(content.get("tokens")),
            model=words(model.get("id"), LONGEST_NAME),
            provider=words(model.get("providerID"), LONGEST_NAME),
            agent=words(content.get("agent"), LONGEST_NAME),
        )


def words(content: Any, longest: int) -> str:
    """Return a text, truncated and encodable, without NUL; empty for anything else."""
    return shortened(content, longest).encode(errors="replace").decode().replace("\0", "")


def whole(content: Any) -> int:
    """Return a non-negative number as an integer; 0 for anything else."""
    return int(amount(content))


def amount(content: Any) -> float:
    """Return a non-negative number; 0 for anything else."""
    if isinstance(content, bool) or not isinstance(content, int | float):
        return 0.0
    return float(content) if 0 <= content <= LARGEST else 0.0
