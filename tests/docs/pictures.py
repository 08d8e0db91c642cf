"""Draw the pictures of the README and of docs/ from a real run on real engines: `make pictures`.

A shell on a terminal, at home in /home/you, in a clone of a team's repository. What is seen there is drawn as SVG.
The agent's answers are those of the scripted model.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from tests.docs.markdown import CHECKOUT
from tests.environments.environment import programs
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.leash import leash
from tests.rigs.local import user_environment
from tests.rigs.machine import WORKDIR
from tests.rigs.ssh import Kind, SSHMachines
from tests.rigs.terminal import Terminal

PICTURES = CHECKOUT / "docs/pictures"
HOME = Path("/home/you")
PROMPT = "$ "
SECONDS = 90
TUI = "Ask anything"
APPLICATION = 3000
"""The port of what the agent would have started."""

FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
"""What rich would have fetched from a network; any font of fixed width does."""

FORMAT = FONTS.sub("", CONSOLE_SVG_FORMAT).replace("<svg ", '<svg xml:space="preserve" ', 1)
"""As rich has it, and readers that strip what a line begins with leave the spaces there."""

AT_HOME = f"""
mount -t overlay overlay -o lowerdir="$1/empty:/home" /home
mount --bind "$1/home" {HOME}
mount -t tmpfs tmpfs /run
ln -s "$2" /run/docker.sock
cd {HOME}/shop
shift 2
exec "$@"
"""
"""Shell text: in a mount namespace of one's own there is such a home, and an engine where `docker` looks for it."""

ENVIRONMENTS: Mapping[str, Mapping[str, Any]] = {
    "api": {"transport": "docker", "container": "api", "workdir": "/app"},
    "frontend": {"transport": "docker", "container": "frontend-app", "workdir": "/app"},
    "gpu": {"transport": "ssh", "host": "gpu", "workdir": "/srv/models"},
    "staging": {"transport": "ssh", "host": "staging", "workdir": WORKDIR},
    "worker": {"transport": "docker", "container": "worker", "workdir": "/app"},
}


@contextmanager
def desk() -> Iterator[Terminal]:
    """A shell in the clone; api and frontend have OpenCode, worker has none, and gpu is down."""
    with ExitStack() as stack:
        directory, places, engines, hosts = (stack.enter_context(short_directory()) for _ in range(4))
        engine = stack.enter_context(DockerEngine(engines))
        for name in ("frontend-app", "api"):
            container = stack.enter_context(engine.container(name, model=True, hostname=name))
            container.path("/app").mkdir()
        stack.enter_context(engine.container("worker", variant="bare")).path("/app").mkdir()
        machines = stack.enter_context(SSHMachines(hosts, ["staging"], kinds={"staging": Kind()}))
        machines["staging"].reset()
        stack.enter_context(machines["staging"].serve_model())
        ssh = machines.client_bin(hosts / "you", settings="Host gpu\n  HostName 127.0.0.1\n  Port 9\n")
        furnish(places)
        namespace = ("unshare", "--mount", "--propagation", "private", "sh", "-euc", AT_HOME)
        opened = Terminal(
            [*namespace, "sh", places, engine.socket, "bash", "--norc", "-i"],
            directory=directory,
            environment=variables(ssh, HOME / "bin"),
            cwd=Path("/"),
        )
        stack.enter_context(opened)
        opened.wait_for(PROMPT.strip())
        yield opened
        typed(opened, "ocattach --disconnect --all")


def furnish(places: Path) -> None:
    """Make the home, with the clone of a repository that defines the environments."""
    (places / "empty" / HOME.name).mkdir(parents=True)
    project = places / "home/shop"
    (project / ".git").mkdir(parents=True)
    (project / "opencode.json").write_text(json.dumps({"environments": ENVIRONMENTS}))
    (places / "home/run").mkdir(mode=0o700)
    programs(places / "home")


def variables(*path: Path) -> dict[str, str]:
    """What the shell starts with: nothing of ocattach's, whose files are then where users have them."""
    found = user_environment(HOME, Path(sys.executable).parent, *path)
    kept = {
        name: value
        for name, value in found.items()
        if not name.startswith("OCATTACH_") or name.endswith("_RUN")
    }
    return {**kept, "XDG_RUNTIME_DIR": f"{HOME}/run", "PS1": PROMPT, "BASH_SILENCE_DEPRECATION_WARNING": "1"}


def typed(opened: Terminal, command: str, *, answers: Mapping[str, str] | None = None) -> None:
    """Type a command on an empty screen, answer what it asks, and return at the next prompt."""
    begin(opened, command)
    for question, answer in (answers or {}).items():
        opened.wait_for(question, timeout=SECONDS)
        opened.send_text(answer)
        opened.send_keys("Enter")
    wait_for_prompt(opened)


def begin(opened: Terminal, command: str) -> None:
    """Type a command on an empty screen."""
    opened.send_keys("C-l")
    opened.wait_for(lambda screen: screen.strip() == PROMPT.strip())
    opened.send_text(command)
    opened.send_keys("Enter")


def wait_for_prompt(opened: Terminal) -> None:
    opened.wait_for(lambda screen: screen.rstrip().endswith(f"\n{PROMPT.strip()}"), timeout=SECONDS)


def draw(opened: Terminal, name: str, *, title: str) -> None:
    """Write what is on the screen as a picture, without the prompt that comes last."""
    lines = opened.screen(colours=True).splitlines()
    while lines and plain(lines[-1]) in {"", PROMPT.strip()}:
        lines.pop()
    write(lines, name, title=title, width=opened.width)


def draw_until(opened: Terminal, words: str, name: str, *, title: str) -> None:
    """The same for what the last command printed up to a line, also where that has scrolled away."""
    lines = opened.screen(history=True, colours=True).splitlines()
    first = max(number for number, line in enumerate(lines) if plain(line).startswith(f"{PROMPT}ocattach"))
    last = next(number for number in range(first, len(lines)) if words in lines[number])
    write(lines[first : last + 1], name, title=title, width=opened.width)


def plain(line: str) -> str:
    """A line without its colours."""
    return Text.from_ansi(line).plain.strip()


def write(lines: Iterable[str], name: str, *, title: str, width: int) -> None:
    """Write lines of a terminal as a picture."""
    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines:
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    picture = console.export_svg(title=title, code_format=FORMAT, unique_id=name)
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}.svg").write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


def main() -> None:
    """Play the scenes one after the other."""
    with leash(), desk() as opened:
        opened.resize(100, 40)
        typed(opened, "ocattach --list")
        draw(opened, "list", title="ocattach --list")
        begin(opened, "ocattach frontend")
        opened.wait_for("Use frontend? [y/n]:", timeout=SECONDS)
        opened.send_text("y")
        opened.send_keys("Enter")
        opened.wait_for(TUI, timeout=SECONDS)
        opened.send_text("!hostname; pwd; opencode --version")
        opened.send_keys("Enter")
        opened.wait_for(re.compile(r"frontend-app *\n"), timeout=SECONDS)
        opened.send_text("hello from my own terminal")
        opened.send_keys("Enter")
        opened.wait_for("You said: hello from my own terminal", timeout=SECONDS)
        draw(opened, "tui", title="ocattach frontend")
        opened.send_keys("C-c")
        wait_for_prompt(opened)
        draw_until(opened, "To come back", "attach", title="ocattach frontend, the first time")
        typed(opened, f"ocattach exec frontend -- httpd -p 127.0.0.1:{APPLICATION} -h /app")
        begin(opened, f"ocattach forward frontend {APPLICATION}")
        opened.wait_for("there", timeout=SECONDS)
        draw(opened, "forward", title="ocattach forward")
        opened.send_keys("C-c")
        wait_for_prompt(opened)
        typed(opened, "ocattach ports frontend")
        draw_until(opened, "OpenCode's daemon", "ports", title="ocattach ports")
        typed(opened, "ocattach web frontend --print")
        draw(opened, "web", title="ocattach web --print")
        for name in ("api", "staging", "gpu"):
            typed(opened, f"ocattach trust {name}", answers={f"Use {name}? [y/n]:": "y"})
        typed(opened, "ocattach staging --print-url")
        typed(opened, "ocattach --status")
        draw(opened, "status", title="ocattach --status")
        typed(opened, "ocattach trust worker", answers={"Use worker? [y/n]:": "y"})
        typed(opened, "ocattach doctor worker")
        draw(opened, "doctor", title="ocattach doctor")


if __name__ == "__main__":
    main()
