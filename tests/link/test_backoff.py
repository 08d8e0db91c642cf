"""The pauses between tries."""

from itertools import islice

import pytest

from ocattach.backoff import Backoff
from ocattach.link.server import reconnector


def test_pauses_grow_up_to_the_longest() -> None:
    assert list(islice(Backoff(first=0.5, longest=3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_reset_begins_with_the_first_pause_again() -> None:
    backoff = Backoff(first=1.0, longest=9.0, growth=3.0)
    assert list(islice(backoff, 3)) == [1.0, 3.0, 9.0]

    backoff.reset()

    assert next(backoff) == 1.0


def test_jitter_shortens_each_pause_by_at_most_its_share() -> None:
    pauses = list(islice(Backoff(first=8.0, longest=8.0, jitter=0.5), 200))

    assert all(4.0 <= pause <= 8.0 for pause in pauses)
    assert len(set(pauses)) > 1


def test_a_link_slows_down_once_the_far_side_is_not_expected_back_any_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pauses = reconnector.pauses()
    soon = list(islice(pauses, 20))
    now[0] = reconnector.PATIENCE

    assert soon[0] <= reconnector.FIRST_PAUSE
    assert max(soon) <= reconnector.LONGEST_PAUSE
    assert next(pauses) >= reconnector.LONG_PAUSE / 2
