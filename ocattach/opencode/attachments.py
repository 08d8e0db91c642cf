"""Files that are sent with a prompt, each as a part of it.

Measured on 1.18.33: the text of a file is passed on to the model only as `text/plain`. A file of an unknown type ends
the run with an error of the provider. An image or PDF that the model does not take is replaced by a sentence that says
so. An image that cannot be decoded makes `prompt_async` drop the prompt without an error. Larger images are resized.
Requests of 80 MB are accepted.
"""

import base64
import codecs
from collections.abc import Sequence
from typing import Any, NamedTuple

from ocattach.errors import UsageError

MOST_BYTES = 16 * 1024 * 1024
"""The largest size of all files of a prompt: in the request they are a third larger, and in memory several times."""

PDF = "application/pdf"
TEXT = "text/plain"
BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": PDF,
}
"""The first bytes of the types that are sent, besides WebP and text."""


class Attachment(NamedTuple):
    """A file that is sent with a prompt."""

    name: str
    mime: str
    content: bytes

    @property
    def kind(self) -> str:
        """The kind of input, as in the capabilities of a model: text, image or pdf."""
        return "pdf" if self.mime == PDF else self.mime.partition("/")[0]

    def to_api(self, part: str) -> dict[str, Any]:
        """Return the part of a prompt, with its id."""
        url = f"data:{self.mime};base64,{base64.b64encode(self.content).decode()}"
        return {"id": part, "type": "file", "mime": self.mime, "filename": self.name, "url": url}


def attachment(name: str, content: bytes) -> Attachment:
    """Return a file as an attachment, its type found by its content. Raises UsageError if OpenCode cannot use it."""
    mime = next((mime for beginning, mime in BEGINNINGS.items() if content.startswith(beginning)), "")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        mime = "image/webp"
    if not mime and is_text(content):
        mime = TEXT
    if not mime:
        raise UsageError(
            f"{name} is of a type that OpenCode cannot pass to a model",
            hint="Attach text in UTF-8, images (PNG, JPEG, GIF, WebP) or PDF",
        )
    return Attachment(name, mime, content)


def is_text(content: bytes) -> bool:
    """Return whether a file is text in UTF-8."""
    try:
        codecs.decode(content, "utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


def check_inputs(files: Sequence[Attachment], model: str, inputs: dict[str, frozenset[str]]) -> None:
    """Raise UsageError for a file that a model does not take. `inputs` are those of each model: PROVIDER/MODEL."""
    for file in files:
        if model in inputs and file.kind not in inputs[model]:
            able = sorted(name for name, kinds in inputs.items() if file.kind in kinds)
            raise UsageError(
                f"Model {model} does not take {file.kind} input: {file.name}",
                hint=f"Models that do: {', '.join(able[:3])} (--model)" if able else "No model there does",
            )
