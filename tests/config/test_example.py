import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ocattach.config.files import jsonc
from ocattach.config.spec import ConnectionSpec
from tests.config.conftest import Desk
from tests.rigs.local import LocalMachine

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


def test_the_schema_that_it_names_is_the_one_that_is_printed(tmp_path: Path) -> None:
    (tmp_path / "opencode.json").write_text(EXAMPLE.read_text())
    (command,) = [line[2:].strip() for line in EXAMPLE.read_text().splitlines() if "--schema >" in line]
    (tmp_path / ".opencode").mkdir()
    program = f'ocattach() {{ {sys.executable} -m ocattach "$@"; }}; {command}'
    subprocess.run(["sh", "-euc", program], cwd=tmp_path, check=True)

    document = jsonc.parse((tmp_path / "opencode.json").read_text())
    assert isinstance(document, dict)
    schema = json.loads((tmp_path / document["$schema"]).read_text())

    jsonschema.Draft7Validator(schema).validate(document)
    document["environments"]["api"]["contianer"] = "typo"
    assert not jsonschema.Draft7Validator(schema).is_valid(document)


def test_the_real_opencode_starts_with_it(local: LocalMachine) -> None:
    (local.workdir / "opencode.json").write_text(
        EXAMPLE.read_text().replace("{\n", '{\n  "username": "kim",\n', 1)
    )

    ran = subprocess.run(
        ["opencode", "debug", "config"],
        env=local.environment,
        cwd=local.workdir,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert json.loads(ran.stdout)["username"] == "kim"
