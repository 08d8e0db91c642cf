"""The short form of the fault bench: faults that no other test induces, once or twice. `make faults` has all."""

from collections.abc import Iterator

import pytest

from tests.faults import table
from tests.faults.bench import Bench
from tests.faults.fault import Fault
from tests.faults.faults import ALL
from tests.faults.ledger import Counts, Prompt, verdict
from tests.faults.site import Site
from tests.faults.sites import SITES, open_site
from tests.rigs.availability import require

INTERVAL = 0.3
"""Seconds between two prompts of a sender: a third of the prompts of the long form, which loads both processors."""

CASES = [(site, fault) for site in SITES for fault in ALL if fault.short and site in fault.short_sites]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site for all its faults, one after the other."""
    with require(request.param.partition("-")[0]), open_site(request.param) as site:
        yield site


@pytest.mark.parametrize(
    ("site", "fault"), CASES, indirect=["site"], ids=[f"{site}-{fault.name}" for site, fault in CASES]
)
def test_no_prompt_is_lost_none_comes_twice_and_nothing_is_left_over(site: Site, fault: type[Fault]) -> None:
    result = Bench(site, fault(), interval=INTERVAL).run(fault.short)

    assert result.counts.sent, "no prompt was sent"
    assert result.is_clean, "\n".join([str(result.counts), *table.remarks([result])])


@pytest.mark.parametrize(
    ("status", "failure", "times", "expected"),
    [
        (204, "", 1, "once"),
        (204, "", 0, "lost"),
        (204, "", 2, "twice"),
        (503, "", 0, "refused"),
        (503, "", 1, "answer_lost"),
        (None, "ConnectionResetError", 0, "refused"),
        (None, "ConnectionResetError", 1, "answer_lost"),
        (None, "ConnectionResetError", 2, "twice"),
        (None, "no answer", 0, "lost"),
        (None, "no answer", 1, "lost"),
    ],
)
def test_each_prompt_counts_as_what_became_of_it(
    status: int | None, failure: str, times: int, expected: str
) -> None:
    prompt = Prompt("ses_1", "text", 10.0, 10.5, status, failure)

    assert verdict(prompt, times, []) == expected
    assert hasattr(Counts(), expected)


@pytest.mark.parametrize(("killed", "expected"), [(11.0, "gone_with_daemon"), (15.0, "lost"), (8.0, "lost")])
def test_only_what_was_accepted_just_before_its_daemon_was_killed_may_be_gone_with_it(
    killed: float, expected: str
) -> None:
    prompt = Prompt("ses_1", "text", 10.0, 10.5, 204)

    assert verdict(prompt, 0, [killed]) == expected
