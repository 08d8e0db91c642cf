"""A network namespace to run the contract in, with an empty home and the example package on sys.path."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.environments.environment import Environment
from tests.environments.local import processes_of_home
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.distributions import installed
from tests.rigs.local import local_machine
from tests.rigs.namespaces import named_network


@contextmanager
def netns_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A new namespace, a new home."""
    request.getfixturevalue("opencode_bin")
    with require("local"), short_directory() as directory, installed(Path(__file__).parent) as search_path:
        name = f"frontend-app-{directory.name}"
        with (
            named_network(name, directory / "log") as network,
            local_machine(directory, network=network) as machine,
        ):
            yield Environment(
                entry={"transport": "netns", "namespace": name},
                variables={**machine.environment, "PYTHONPATH": search_path},
                workdir=str(machine.workdir),
                home=machine.home,
                model=machine.model,
                network=network,
                processes=lambda: processes_of_home(str(machine.home)),
                connections=lambda: 0,
                route="relay",
                missing={"transport": "netns", "namespace": name.replace("app", "ap")},
                laptop=machine.home,
            )
