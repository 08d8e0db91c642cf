import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError
from tests.config.conftest import Desk

WEB = {"transport": "docker", "container": "web", "workdir": "/app"}


def defined(desk: Desk, name: str = "web") -> ConnectionSpec:
    return desk.resolve(name)


def test_a_project_is_not_trusted_before_it_is(desk: Desk) -> None:
    desk.define({"web": WEB})

    assert not desk.ledger.is_trusted(defined(desk))


def test_trust_is_remembered(desk: Desk) -> None:
    desk.define({"web": WEB})

    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(defined(desk))


def test_what_is_typed_or_saved_needs_no_trust(desk: Desk) -> None:
    desk.save("mine", "docker://web")

    assert desk.ledger.is_trusted(desk.resolve("mine"))
    assert desk.ledger.is_trusted(desk.resolve("docker://web"))


@pytest.mark.parametrize(
    "change",
    [
        {"container": "other"},
        {"workdir": "/"},
        {"user": "root"},
        {"host": "tcp://evil:2375"},
        {"env": {"A": "1"}},
        {"forward_env": ["AWS_SECRET_ACCESS_KEY"]},
        {"opencode": "/srv/opencode"},
        {"description": "harmless"},
    ],
)
def test_a_changed_definition_is_asked_about_again(desk: Desk, change: dict[str, object]) -> None:
    desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))

    desk.define({"web": {**WEB, **change}})

    assert not desk.ledger.is_trusted(defined(desk))


def test_another_order_or_a_comment_is_no_change(desk: Desk) -> None:
    path = desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))

    path.write_text(f'// new\n{{"environments": {{"web": {json.dumps(dict(reversed(WEB.items())))}}}}}')

    assert desk.ledger.is_trusted(defined(desk))


def test_the_same_definition_elsewhere_is_asked_about(desk: Desk) -> None:
    desk.define({"web": WEB, "twin": WEB})
    desk.ledger.trust(defined(desk))
    desk.define({"web": WEB}, "inner/opencode.json")

    assert not desk.ledger.is_trusted(defined(desk, "twin"))
    assert not desk.ledger.is_trusted(desk.resolve("web", cwd=desk.project / "inner"))


def test_going_back_to_what_was_trusted_once_is_asked_about(desk: Desk) -> None:
    desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))
    desk.define({"web": {**WEB, "user": "root"}})
    desk.ledger.trust(defined(desk))

    desk.define({"web": WEB})

    assert not desk.ledger.is_trusted(defined(desk))


def test_what_the_user_types_on_top_changes_nothing_about_trust(desk: Desk) -> None:
    desk.define({"web": WEB})
    changed = defined(desk).with_overrides(workdir="/srv", user="root")

    assert not desk.ledger.is_trusted(changed)
    desk.ledger.trust(changed)
    assert desk.ledger.is_trusted(defined(desk))
    assert desk.ledger.is_trusted(changed)


def test_trust_survives_the_way_to_another_process(desk: Desk) -> None:
    desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(ConnectionSpec.from_json(defined(desk).to_json()))


def test_trust_can_be_taken_back_for_one_alone(desk: Desk) -> None:
    desk.define({"web": WEB, "api": WEB})
    desk.ledger.trust(defined(desk, "web"))
    desk.ledger.trust(defined(desk, "api"))

    desk.ledger.revoke(defined(desk, "web"))
    desk.ledger.revoke(defined(desk, "web"))

    assert not desk.ledger.is_trusted(defined(desk, "web"))
    assert desk.ledger.is_trusted(defined(desk, "api"))


def test_a_linked_project_is_the_project(desk: Desk, tmp_path: Path) -> None:
    desk.define({"web": WEB})
    (tmp_path / "link").symlink_to(desk.project)
    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(desk.resolve("web", cwd=tmp_path / "link"))


def test_the_ledger_is_the_users_alone(desk: Desk) -> None:
    desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))

    assert stat.S_IMODE(desk.ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.ledger.path.parent.stat().st_mode) == 0o700


def test_a_project_cannot_declare_itself_trusted(desk: Desk) -> None:
    desk.define({"web": WEB, "trusted": True, "trust": {"web": True}})
    desk.define({"evil": {**WEB, "trusted": True}}, ".opencode/ocattach.json")

    assert not desk.ledger.is_trusted(defined(desk, "web"))
    with pytest.raises(ConfigurationError, match="'trusted'"):
        defined(desk, "evil")


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"schema": 2}', '{"schema": 1, "projects": []}', "[" * 100_000, "\x00"]
)
def test_a_damaged_ledger_trusts_nobody_and_says_so(desk: Desk, content: str) -> None:
    desk.define({"web": WEB})
    desk.ledger.trust(defined(desk))
    desk.ledger.path.write_text(content)

    for use in (desk.ledger.is_trusted, desk.ledger.trust):
        with pytest.raises(ConfigurationError) as raised:
            use(defined(desk))
        assert str(desk.ledger.path) in raised.value.message
    assert desk.ledger.path.read_text() == content


def test_approvals_at_the_same_moment_are_all_kept(desk: Desk) -> None:
    names = [f"web{number}" for number in range(12)]
    desk.define(dict.fromkeys(names, WEB))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: desk.ledger.trust(defined(desk, name)), names))

    assert all(desk.ledger.is_trusted(defined(desk, name)) for name in names)
