"""Which environment a session belongs to if several environments report its id.

Ids are chosen by daemons, so an environment can report any id. The first environment to report it keeps it, unless the
user has chosen another one.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

TOGETHER_SECONDS = 60.0
"""Reports within this time of each other count as simultaneous: which of them was the first is a matter of chance."""

CLAIMS = """
    SELECT sessions.id, environments.id, coalesce(nullif(place, ''), environments.id), first_seen,
        chosen.environment IS environments.id AS is_chosen
    FROM sessions JOIN environments ON sessions.environment = environments.number
    LEFT JOIN chosen ON chosen.session = sessions.id
    WHERE CASE WHEN ?1 IS NULL
        THEN sessions.id IN (SELECT id FROM sessions GROUP BY id HAVING count(*) > 1)
        ELSE sessions.id = ?1 END
    ORDER BY is_chosen DESC, first_seen, environments.id
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An environment's report of a session."""

    environment: str
    place: str
    """Equal for environments that have the same sessions (`config.spec.place_id`)."""

    first_seen: float
    """When the environment first reported it, in seconds since the epoch."""

    is_chosen: bool
    """Whether the user has chosen this environment for the session."""


@dataclass(frozen=True, slots=True)
class Claims:
    """All reports of one session, at least one."""

    all: Sequence[Claim]
    """The chosen one first, then the earliest."""

    @property
    def owner(self) -> Claim:
        """The report that counts."""
        return self.all[0]

    @property
    def others(self) -> list[Claim]:
        """The reports that do not count: those from other places than the owner's."""
        return [claim for claim in self.all if claim.place != self.owner.place]

    @property
    def is_undecided(self) -> bool:
        """Whether another place reported the session at about the same time as the owner."""
        if self.owner.is_chosen:
            return False
        return any(each.first_seen - self.owner.first_seen < TOGETHER_SECONDS for each in self.others)

    def belongs_to(self, place: str) -> bool:
        """Whether the session is known to belong to the environments of a place."""
        return place == self.owner.place and not self.is_undecided


def read_claims(connection: sqlite3.Connection, session: str | None = None) -> dict[str, Claims]:
    """Return the reports of a session, or of all sessions with several, by session id."""
    found: dict[str, list[Claim]] = {}
    for identifier, environment, place, first_seen, is_chosen in connection.execute(CLAIMS, (session,)):
        found.setdefault(identifier, []).append(Claim(environment, place, first_seen, bool(is_chosen)))
    return {identifier: Claims(claims) for identifier, claims in found.items()}
