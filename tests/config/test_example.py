from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from tests.config.conftest import Desk

EXAMPLE = Path(__file__).parents[2] / "opencode.json.example"


def test_the_example_can_be_used_as_it_is(desk: Desk) -> None:
    desk.define({}).write_text(EXAMPLE.read_text())

    assert [desk.resolve(name).display() for name in ("frontend", "api", "staging", "cluster")] == [
        "docker://frontend-app:/app",
        "docker://app@compose/shop/api:/app",
        "ssh://deploy@staging.example.com/var/www/app?jump=bastion.example.com",
        "k8s://deployment/api:/srv/app?namespace=shop&context=dev-cluster&container=api",
    ]


@pytest.mark.parametrize("name", ["frontend", "api", "staging", "cluster"])
def test_what_a_team_shares_can_be_saved_by_one_of_them(desk: Desk, name: str) -> None:
    desk.define({}).write_text(EXAMPLE.read_text())
    shared = desk.resolve(name)

    desk.saved.save(name, shared)

    mine = desk.resolve(name)
    assert mine.source.kind == "user"
    assert ConnectionSpec.from_entry(mine.to_entry()) == ConnectionSpec.from_entry(shared.to_entry())
