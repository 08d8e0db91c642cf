"""What `ocattach events` prints while faults are induced: each prompt that the daemon has, once, and nothing twice."""

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.faults.ledger import Prompt
from tests.faults.site import NAME, Site
from tests.main_job.laptop import OCATTACH
from tests.rigs.waiting import wait_until

REPORTED_SECONDS = 60
"""How long after the last fault what was missed may still be read: a stream counts as lost after 35 s of silence."""

ONCE = {"prompt": "message", "answer": "message", "tool-start": "call", "tool-end": "call"}
"""The value that tells two events of a type apart."""


class Feed:
    """The events so far, in a file."""

    def __init__(self, file: Path, errors: Path, logs: Path) -> None:
        self._file, self._errors, self._logs = file, errors, logs

    def events(self) -> list[dict[str, Any]]:
        """Those that are printed whole."""
        lines = self._file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def prompts(self) -> Counter[str]:
        """How often each text was reported as a prompt."""
        return Counter(each["text"] for each in self.events() if each["event"] == "prompt")

    def remarks(self, sent: list[Prompt], kept: Counter[str], *, has_gap: bool) -> list[str]:
        """What is wrong with it: of the prompts that were sent, the daemon has kept these texts."""
        texts = {prompt.text for prompt in sent if kept[prompt.text]}
        try:
            wait_until(lambda: texts <= set(self.prompts()), "the events", timeout=REPORTED_SECONDS)
        except TimeoutError:
            missing = sorted(texts - set(self.prompts()))
            seen = [each["event"] for each in self.events()]
            said = self._errors.read_text() + "".join(
                each.read_text()[-8000:] for each in self._logs.glob("*.log")
            )
            return [
                f"{len(missing)} of {len(texts)} prompts are not among the events: {missing[:3]}; {seen}; {said}"
            ]
        events = self.events()
        times = Counter(
            (each["event"], each[ONCE[each["event"]]]) for each in events if each["event"] in ONCE
        )
        found = [f"{count} events {event} of {what}" for (event, what), count in times.items() if count > 1]
        if has_gap and not any(each["event"] == "gap" for each in events):
            found.append("no gap among the events")
        return found


@contextmanager
def feed_of(site: Site) -> Iterator[Feed]:
    """A running `ocattach events`, from the beginning of the link."""
    with tempfile.NamedTemporaryFile() as output, tempfile.NamedTemporaryFile() as errors:
        process = subprocess.Popen(
            [*site.laptop.inside(), *OCATTACH, "events", NAME, "--since-last"],
            env=site.laptop.variables,
            cwd=site.laptop.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        reader = psutil.Process(process.pid)
        try:
            wait_until(lambda: reader.net_connections("unix"), "the reader to be at the link")
            yield Feed(Path(output.name), Path(errors.name), site.laptop.state / "links")
        finally:
            process.terminate()
            process.wait()
