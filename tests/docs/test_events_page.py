"""The examples of docs/events.md, run as they stand beside a real agent."""

import http.server
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ocattach.config.settings import EVENTS
from tests.docs.markdown import CHECKOUT, blocks
from tests.docs.test_blocks import furnished
from tests.environments import Environment
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.waiting import wait_until

PAGE = CHECKOUT / "docs" / "events.md"
EXAMPLES = {
    block.mark.removeprefix("example: "): block.code
    for block in blocks(PAGE)
    if block.mark.startswith("example: ")
}


HOOKS = ["sessionStart", "userPromptSubmitted", "preToolUse", "postToolUse", "sessionEnd"]
"""Of Copilot CLI, in the order of a run."""


class Webhook(http.server.ThreadingHTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.messages: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        server: "Webhook"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.messages.append(body.decode().strip())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""


@contextmanager
def running(example: str, variables: dict[str, str], output: Path) -> Iterator[None]:
    """An example that runs until the end of the block; its output goes to a file."""
    with (
        output.open("wb") as file,
        subprocess.Popen(
            ["bash", "-c", EXAMPLES[example]],
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_each_type_of_event_is_on_the_page_and_in_the_help() -> None:
    ran = subprocess.run(
        [*OCATTACH, "events", "--help"], capture_output=True, text=True, timeout=20, check=True
    )
    _, _, types = ran.stdout.partition("\nTypes:\n")
    listed = [line.split()[0] for line in types.splitlines() if re.match(r"  \w", line)]
    on_the_page = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    assert listed == list(EVENTS)
    assert set(EVENTS) <= set(on_the_page)
    assert max(map(len, types.splitlines())) <= 80


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_the_examples_do_what_the_page_says(environment: Environment, workdir: Path) -> None:
    laptop = Laptop(environment)
    laptop.save()
    hook = workdir / "notify-phone"
    hook.write_text(EXAMPLES["webhook"])
    hook.chmod(0o700)
    (laptop.config / "config.yaml").write_text(
        json.dumps({"hooks": {"session-end": [[str(hook)]]}})  # JSON is YAML
    )
    with ExitStack() as opened:
        webhook = opened.enter_context(Webhook())
        opened.callback(webhook.shutdown)
        variables = dict(opened.enter_context(furnished(environment)))
        laptop.variables["WEBHOOK_URL"] = f"http://127.0.0.1:{webhook.server_port}/"
        daemon = laptop.connect()
        outputs = {name: workdir / name for name in ("rule", "dashboard", "shape")}
        for name, file in outputs.items():
            opened.enter_context(running(name, variables, file))

        def all_read() -> bool:
            daemon.prompt(daemon.make_session(), "!bash exit 7")
            return all(file.stat().st_size for file in outputs.values())

        wait_until(all_read, "all examples to print something", timeout=60)
        session = daemon.make_session()
        daemon.prompt(session, "!bash echo out; exit 3")

        def shaped() -> list[dict[str, object]]:
            lines = outputs["shape"].read_text().splitlines()
            return [each for line in lines if (each := json.loads(line))["sessionId"] == session]

        wait_until(
            lambda: shaped()[-1:] and shaped()[-1]["hook"] == "sessionEnd", "the events in the other shape"
        )
        assert [each["hook"] for each in shaped()] == HOOKS
        _, prompted, _, used, ended = shaped()
        assert (prompted["prompt"], ended["reason"]) == ("!bash echo out; exit 3", "idle")
        assert {each["cwd"] for each in (prompted, used, ended)} == {environment.workdir}
        result = {"exitCode": 3, "exit_code": 3, "stdout": "out\n", "output": "out\n", "isError": False}
        assert used["toolResult"] == result
        wait_until(lambda: len(webhook.messages) >= 2, "the webhook")
        assert all(message.startswith("frontend: ") for message in webhook.messages)
        assert all(message.endswith(" idle") for message in webhook.messages)
        assert "\tfrontend\ttool-end\tbash\n" in outputs["dashboard"].read_text()
        assert "ses_" in outputs["rule"].read_text()
        assert session not in outputs["rule"].read_text()
