"""The pictures show what the program prints now: the same commands are run again, and their words compared.

Numbers, paths, the engine and where lines are broken may differ. The text in the picture of the TUI is OpenCode's.
"""

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pictures import APPLICATION, ENVIRONMENTS, PICTURES
from tests.environments import ENVIRONMENTS as KINDS
from tests.environments import Environment
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.availability import require
from tests.rigs.docker import DockerEngine
from tests.rigs.terminal import Terminal

SECONDS = 60
TEXT = re.compile(r'<text class="[\w-]+-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')
VARYING: Mapping[str, str] = {
    r"\?host=[^\s),]+": "",
    r"the engine: [^*]+": "the engine: E ",
    r"/[\w/.-]+/(opencode\.json)": r"F/\1",
    r"at /[\w/.-]+/opencode": "at OPENCODE",
    r"//frontend-\w+\.localhost": "//frontend-SECRET.localhost",
    r"login\?[0-9a-f]+(\s[0-9a-f]+)?": "login?SECRET",
    r"\d+(\.\d+)*": "0",
    r"\s+": " ",
}


def text_of(picture: str) -> str:
    """The text of a picture, without the command that is typed."""
    rows: dict[float, dict[float, str]] = defaultdict(dict)
    for x, y, text in TEXT.findall((PICTURES / f"{picture}.svg").read_text()):
        rows[float(y)][float(x)] = html.unescape(text).replace("\xa0", " ")
    _, *lines = ["".join(text for _, text in sorted(cells.items())) for _, cells in sorted(rows.items())]
    return "\n".join(lines)


def words(text: str) -> str:
    """What of a text does not vary."""
    for pattern, replacement in VARYING.items():
        text = re.sub(pattern, replacement, text)
    return text.strip()


@pytest.fixture
def clone(request: pytest.FixtureRequest, docker_engine: DockerEngine) -> Iterator[Environment]:
    """The container frontend-app, and one without OpenCode; the laptop is a clone of the repository."""
    with KINDS["docker"](request) as found, docker_engine.container("worker", variant="bare") as worker:
        for place in (found.home.parent, worker.path("/")):
            (place / "app").mkdir(exist_ok=True)
        (found.laptop / "opencode.json").write_text(json.dumps({"environments": ENVIRONMENTS}))
        yield found
        Laptop(found).end_links()


@contextmanager
def terminal(environment: Environment, directory: Path, *arguments: str, width: int) -> Iterator[Terminal]:
    """A command on a terminal, in the clone."""
    argv = [*OCATTACH, *arguments]
    variables, cwd = environment.variables, environment.laptop
    with Terminal(argv, directory=directory, environment=variables, cwd=cwd, width=width) as opened:
        yield opened


def test_the_pictures_are_what_the_program_prints(clone: Environment, workdir: Path) -> None:
    def printed(*arguments: str, keys: Mapping[str, str] | None = None, width: int = 200) -> str:
        with terminal(clone, workdir, *arguments, width=width) as opened:
            for awaited, key in (keys or {}).items():
                opened.wait_for(awaited, timeout=SECONDS)
                opened.send_keys(*key.split())
            opened.wait_for_exit(timeout=SECONDS)
            return opened.screen(history=True)

    with require("tmux"):
        found = {"list": printed("--list")}
        found["attach"] = printed("frontend", keys={"[y/n]": "y Enter", "Ask anything": "C-c"})
        printed("exec", "frontend", "--", *f"httpd -p 127.0.0.1:{APPLICATION} -h /app".split())
        found["forward"] = printed("forward", "frontend", str(APPLICATION), keys={"there": "C-c"})
        found["ports"] = printed("ports", "frontend")
        found["web"] = printed("web", "frontend", "--print")
        status = printed("--status", "frontend", "worker", width=100)
        printed("trust", "worker", keys={"[y/n]": "y Enter"})
        found["doctor"] = printed("doctor", "worker")

    for picture, text in found.items():
        assert words(text).startswith(words(text_of(picture))), picture
    for cell in re.split(r"\n|  +", status):
        assert words(cell) in words(text_of("status"))
