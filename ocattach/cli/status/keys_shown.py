"""The keys of `--status --watch` as its last line and its help show them."""

from rich.console import Group
from rich.text import Text

from ocattach.opencode.pending import PendingRequest, Permission

KEYS = "↑↓ select  tab requests  enter attach  ? keys  q quit"
PERMISSION_KEYS = "o allow once  a always  x reject  enter open  ? keys"
QUESTION_KEYS = "1-9 answer  a type  x reject  enter open  ? keys"
HELP = (
    ("↑ ↓, j k", "select a row; also PgUp, PgDn, Home, End"),
    ("tab, shift-tab", "select what waits for you, in any row"),
    ("o", "permission: allow once"),
    ("a", "permission: allow always; question: type an answer"),
    ("1…9", "question: answer by number; several: 1,3"),
    ("x", "reject a permission or a question"),
    ("enter", "open the TUI, with the selected session; then return here"),
    ("p", "list the ports of a row"),
    ("f", "forward a port until you quit"),
    ("d", "disconnect"),
    ("s", "stop the daemon"),
    ("r", "refresh all rows"),
    ("q, esc", "quit"),
)


def keys_for(chosen: PendingRequest | None) -> Text:
    """The most important keys, by the selected request."""
    if chosen is None:
        return line(KEYS, "dim")
    return line(PERMISSION_KEYS if isinstance(chosen, Permission) else QUESTION_KEYS, "dim")


def help_screen() -> Group:
    """The keys and what they do."""
    keys = (line(f"  {key:<16}{what}") for key, what in HELP)
    return Group(
        line("ocattach --status --watch", "bold"), Text(), *keys, Text(), line("Press any key", "dim")
    )


def line(text: str, style: str = "") -> Text:
    """A line that is cut at the width of the screen."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
