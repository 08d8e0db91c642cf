"""One daemon that is reached under two ids: its sessions are listed once, always under the same origin."""

from itertools import permutations
from pathlib import Path

import pytest

from ocattach.config.resolver import this_machine
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.session_list import ListedSession, each_once


@pytest.mark.parametrize(
    ("directory", "origin"),
    [("/srv/app/web", "web"), ("/srv/app", "app"), ("/srv", "anywhere"), ("/elsewhere", "anywhere")],
)
def test_the_nearest_workdir_gives_the_origin_whoever_answers_first(
    tmp_path: Path, directory: str, origin: str
) -> None:
    environ = {"HOME": str(tmp_path)}
    workdirs = {"app": "/srv/app", "web": "/srv/app/web", "anywhere": None}
    specs = [
        ConnectionSpec.from_entry(
            {
                "transport": "local",
                "opencode": f"/opt/{name}/opencode",
                **({"workdir": workdir} if workdir else {}),
            },
            name=name,
        )
        for name, workdir in workdirs.items()
    ]
    specs.append(this_machine())
    environments = [environment_id(spec, environ) for spec in specs]
    assert len(set(environments)) == len(specs)
    names = Names(specs, environ)

    for order in permutations(environments):
        found = [
            ListedSession(
                names.named(Session(id="ses_1", environment=each, directory=directory)), 0.0, is_live=True
            )
            for each in order
        ]
        (listed,) = each_once(found, names.depth)
        assert listed.session.origin == origin
