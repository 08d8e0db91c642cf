"""An ordinary user who exists only where an engine is confined: an account, subordinate ids, a runtime directory."""

import shutil
from pathlib import Path

USER, USER_ID = "ordinary", 3000
SUBORDINATE_IDS = f"{USER}:300000:65536\n"

# Put before a command, it makes it the user's.
ACCOUNT = (
    shutil.which("setpriv") or "setpriv",
    f"--reuid={USER_ID}",
    f"--regid={USER_ID}",
    "--init-groups",
)

SETUP = """\
for file in passwd group subuid subgid; do
    [ -e /etc/$file ] || touch /etc/$file
    mount --bind {accounts}/$file /etc/$file
done
install -d -m 755 /run/user
install -d -m 700 -o {id} -g {id} {runtime}
"""


def write_accounts(directory: Path, home: Path) -> Path:
    """The system's accounts with the user among them, as files of a folder below the directory."""
    accounts = directory / "accounts"
    accounts.mkdir(exist_ok=True)
    shutil.copy("/etc/passwd", accounts)
    shutil.copy("/etc/group", accounts)
    with (accounts / "passwd").open("a") as passwd, (accounts / "group").open("a") as group:
        passwd.write(f"{USER}:x:{USER_ID}:{USER_ID}::{home}:/bin/sh\n")
        group.write(f"{USER}:x:{USER_ID}:\n")
    for file in ("subuid", "subgid"):
        (accounts / file).write_text(SUBORDINATE_IDS)
    return accounts


def setup_script(accounts: Path, runtime: str | Path) -> str:
    """Shell text that, run inside as root, makes the user known and gives a runtime directory."""
    return SETUP.format(accounts=accounts, id=USER_ID, runtime=runtime)
