"""A defect of ours is said to be one; nobody meets a traceback."""

import subprocess
import sys
from pathlib import Path

BROKEN = """\
import ocattach.cli, ocattach.cli.commands.attach
def broken(options): raise RuntimeError("it broke")
ocattach.cli.commands.attach.resolve_target = broken
ocattach.cli.main(["local://", "--print-url"])
"""


def test_a_defect_is_a_sentence_with_the_details_in_a_private_file(workdir: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BROKEN],
        env={"OCATTACH_STATE_DIR": str(workdir / "state"), "HOME": str(workdir)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "bug in ocattach" in ran.stderr
    assert "it broke" not in ran.stderr + (workdir / "state/defect.log").read_text()
    assert "RuntimeError" in ran.stderr
    assert "Traceback" not in ran.stderr
    details = workdir / "state/defect.log"
    assert "Traceback" in details.read_text()
    assert details.stat().st_mode & 0o777 == 0o600
