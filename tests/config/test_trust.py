import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import digest, is_approved_by_variable
from ocattach.errors import ConfigurationError, UsageError
from tests.config.conftest import Desk

WEB = {"transport": "docker", "container": "www", "workdir": "/app"}


def defined(desk: Desk, name: str = "www") -> ConnectionSpec:
    return desk.resolve(name)


def test_a_project_is_not_trusted_before_it_is(desk: Desk) -> None:
    desk.define({"www": WEB})

    assert not desk.ledger.is_trusted(defined(desk))


def test_trust_is_remembered(desk: Desk) -> None:
    desk.define({"www": WEB})

    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(defined(desk))


def test_what_is_typed_or_saved_needs_no_trust(desk: Desk) -> None:
    desk.save("mine", "docker://www")

    assert desk.ledger.is_trusted(desk.resolve("mine"))
    assert desk.ledger.is_trusted(desk.resolve("docker://www"))


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
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))

    desk.define({"www": {**WEB, **change}})

    assert not desk.ledger.is_trusted(defined(desk))


def test_another_order_or_a_comment_is_no_change(desk: Desk) -> None:
    path = desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))

    path.write_text(f'// new\n{{"environments": {{"www": {json.dumps(dict(reversed(WEB.items())))}}}}}')

    assert desk.ledger.is_trusted(defined(desk))


def test_the_same_definition_elsewhere_is_asked_about(desk: Desk) -> None:
    desk.define({"www": WEB, "twin": WEB})
    desk.ledger.trust(defined(desk))
    desk.define({"www": WEB}, "inner/opencode.json")

    assert not desk.ledger.is_trusted(defined(desk, "twin"))
    assert not desk.ledger.is_trusted(desk.resolve("www", cwd=desk.project / "inner"))


def test_going_back_to_what_was_trusted_once_is_asked_about(desk: Desk) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))
    desk.define({"www": {**WEB, "user": "root"}})
    desk.ledger.trust(defined(desk))

    desk.define({"www": WEB})

    assert not desk.ledger.is_trusted(defined(desk))


def test_what_the_user_types_on_top_changes_nothing_about_trust(desk: Desk) -> None:
    desk.define({"www": WEB})
    changed = defined(desk).with_overrides(workdir="/srv", user="root")

    assert not desk.ledger.is_trusted(changed)
    desk.ledger.trust(changed)
    assert desk.ledger.is_trusted(defined(desk))
    assert desk.ledger.is_trusted(changed)


def test_trust_survives_the_way_to_another_process(desk: Desk) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(ConnectionSpec.from_json(defined(desk).to_json()))


def test_trust_can_be_taken_back_for_one_alone(desk: Desk) -> None:
    desk.define({"www": WEB, "api": WEB})
    desk.ledger.trust(defined(desk, "www"))
    desk.ledger.trust(defined(desk, "api"))

    for _ in range(2):
        desk.ledger.revoke(desk.project / "opencode.json", "www")

    assert not desk.ledger.is_trusted(defined(desk, "www"))
    assert desk.ledger.is_trusted(defined(desk, "api"))


def test_a_linked_project_is_the_project(desk: Desk, tmp_path: Path) -> None:
    desk.define({"www": WEB})
    (tmp_path / "link").symlink_to(desk.project)
    desk.ledger.trust(defined(desk))

    assert desk.ledger.is_trusted(desk.resolve("www", cwd=tmp_path / "link"))


def test_the_ledger_is_the_users_alone(desk: Desk) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))

    assert stat.S_IMODE(desk.ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.ledger.path.parent.stat().st_mode) == 0o700


def test_a_project_cannot_declare_itself_trusted(desk: Desk) -> None:
    desk.define({"www": WEB, "trusted": True, "trust": {"www": True}})
    desk.define({"evil": {**WEB, "trusted": True}}, ".opencode/ocattach.json")

    assert not desk.ledger.is_trusted(defined(desk, "www"))
    with pytest.raises(ConfigurationError, match="'trusted'"):
        defined(desk, "evil")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"schema": 1, "projects": {}}',
        '{"schema": 3}',
        '{"schema": 2, "projects": {"/x": {"www": {"approved": 1}}}}',
        '{"schema": 2, "projects": []}',
        '{"schema": 2, "projects": {"/x": {"www": 1}}}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_damaged_ledger_trusts_nobody_and_says_so(desk: Desk, content: str) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))
    desk.ledger.path.write_text(content)

    for use in (desk.ledger.is_trusted, desk.ledger.trust):
        with pytest.raises(ConfigurationError) as raised:
            use(defined(desk))
        assert str(desk.ledger.path) in raised.value.message
    assert desk.ledger.path.read_text() == content


def test_approvals_at_the_same_moment_are_all_kept(desk: Desk) -> None:
    names = [f"www{number}" for number in range(12)]
    desk.define(dict.fromkeys(names, WEB))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: desk.ledger.trust(defined(desk, name)), names))

    assert all(desk.ledger.is_trusted(defined(desk, name)) for name in names)


def test_what_was_approved_is_kept_to_be_compared_with(desk: Desk) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))
    desk.define({"www": {**WEB, "user": "root"}})

    former = desk.ledger.approval(defined(desk))

    assert former is not None
    assert former.definition == WEB
    assert (former.path, former.name) == (desk.project / "opencode.json", "www")
    assert former.when


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other accounts")
def test_a_ledger_of_another_account_counts_for_nothing(desk: Desk) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))
    os.chown(desk.ledger.path, 65534, 65534)

    with pytest.raises(ConfigurationError, match="belongs to") as raised:
        desk.ledger.is_trusted(defined(desk))

    assert "chown" in raised.value.hint


@pytest.mark.parametrize("place", ["trust.json", "."])
def test_a_ledger_that_everybody_may_write_counts_for_nothing(desk: Desk, place: str) -> None:
    desk.define({"www": WEB})
    desk.ledger.trust(defined(desk))
    (desk.ledger.path.parent / place).chmod(0o777)

    with pytest.raises(ConfigurationError, match="is world-writable"):
        desk.ledger.is_trusted(defined(desk))


def pinned(*specs: ConnectionSpec, separator: str = " ") -> dict[str, str]:
    return {"OCATTACH_TRUST": separator.join(f"sha256:{digest(spec)}" for spec in specs)}


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_a_variable_can_name_contents_that_are_trusted(desk: Desk, separator: str) -> None:
    desk.define({"www": WEB, "api": {**WEB, "user": "root"}, "other": {**WEB, "user": "me"}})
    environ = pinned(defined(desk), defined(desk, "api"), separator=separator)

    assert is_approved_by_variable(defined(desk), environ)
    assert is_approved_by_variable(defined(desk, "api"), environ)
    assert not is_approved_by_variable(defined(desk, "other"), environ)
    assert not is_approved_by_variable(defined(desk), {})
    assert not desk.ledger.is_trusted(defined(desk)), "it is remembered nowhere"


def test_once_the_content_has_changed_the_variable_names_something_else(desk: Desk) -> None:
    desk.define({"www": WEB})
    environ = pinned(defined(desk))

    desk.define({"www": {**WEB, "forward_env": ["AWS_SECRET_ACCESS_KEY"]}})

    assert not is_approved_by_variable(defined(desk), environ)


def test_the_variable_names_contents_under_their_names(desk: Desk) -> None:
    staging, production = WEB, {**WEB, "container": "production"}
    desk.define({"staging": staging, "production": production})
    environ = pinned(defined(desk, "staging"), defined(desk, "production"))

    desk.define({"staging": production, "production": staging})

    assert not is_approved_by_variable(defined(desk, "staging"), environ)
    assert not is_approved_by_variable(defined(desk, "production"), environ)
    desk.define({"renamed": staging})
    assert not is_approved_by_variable(defined(desk, "renamed"), environ)


@pytest.mark.parametrize(
    "value", ["1", "yes", "all", "*", "www", "/src/shop", "sha256:", "sha256:" + "A" * 64]
)
def test_the_variable_is_no_switch(desk: Desk, value: str) -> None:
    desk.define({"www": WEB})

    with pytest.raises(UsageError, match="not a hash of a definition"):
        is_approved_by_variable(defined(desk), {"OCATTACH_TRUST": value})


@pytest.mark.parametrize("key", ["env", "forward_env"])
def test_a_project_can_set_no_variable_of_ours_anywhere(desk: Desk, key: str) -> None:
    value = {"OCATTACH_TRUST": "x"} if key == "env" else ["OCATTACH_TRUST"]
    desk.define({"www": {**WEB, key: value}})

    with pytest.raises(ConfigurationError, match=f"{key}: OCATTACH_TRUST"):
        defined(desk)
