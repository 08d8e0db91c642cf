"""A home of one's own and a project to stand in."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from ocattach.config.files.paths import config_directory, state_directory
from ocattach.config.resolver import resolve
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.uri import parse_uri
from ocattach.config.trust import TrustLedger


@dataclass(frozen=True)
class Desk:
    """A user with a home, in the root of a git tree."""

    home: Path
    project: Path

    @property
    def environ(self) -> dict[str, str]:
        return {f"OCATTACH_{kind}_DIR": str(self.home / kind.lower()) for kind in ("CONFIG", "STATE")}

    @property
    def saved(self) -> SavedConnections:
        return SavedConnections(config_directory(self.environ))

    @property
    def ledger(self) -> TrustLedger:
        return TrustLedger(state_directory(self.environ))

    def save(self, name: str, uri: str, *, force: bool = False) -> ConnectionSpec:
        return self.saved.save(name, spec_of(uri), force=force)

    def load(self, name: str) -> ConnectionSpec:
        found = self.saved.find(name)
        assert found is not None
        return found

    def define(self, environments: object, path: str = "opencode.json") -> Path:
        file = self.project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"environments": environments}))
        return file

    def resolve(self, argument: str, cwd: Path | None = None) -> ConnectionSpec:
        return resolve(argument, cwd=cwd or self.project, environ=self.environ)


def spec_of(uri: str) -> ConnectionSpec:
    parsed = parse_uri(uri)
    return ConnectionSpec(target=parsed.target, workdir=parsed.workdir)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    home, project = tmp_path / "home", tmp_path / "src" / "shop"
    home.mkdir()
    (project / ".git").mkdir(parents=True)
    return Desk(home, project)
