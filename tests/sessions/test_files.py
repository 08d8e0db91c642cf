"""Files of this machine that go along with a prompt."""

import base64
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.cli.session.files import read_attachments
from ocattach.errors import UsageError
from ocattach.opencode.attachments import MOST_BYTES
from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import Laptop

on_each = pytest.mark.parametrize("shared_environment", ["docker", "k8s", "ssh"], indirect=True)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PIXEL = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\x10\x20\x30"))
    + chunk(b"IEND", b"")
)


@pytest.fixture(scope="module")
def laptop(shared_environment: Environment) -> Iterator[Laptop]:
    with new_laptop(shared_environment) as laptop:
        yield laptop


@on_each
def test_images_and_text_files_reach_the_model(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    (tmp_path / "notes.md").write_text("# Grüße\n")
    files = ("--file", str(tmp_path / "pixel.png"), "--file", str(tmp_path / "notes.md"))
    ran = laptop.run("session", "send", "frontend", "look", "--model", "fake/fake-2", "--wait", *files)

    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("You said: look")
    told = [each for each in laptop.environment.model.requests if each.get("tools")][-1]["messages"][-1]
    url = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert {"type": "image_url", "image_url": {"url": url}} in told["content"]
    assert "# Grüße\n" in [part.get("text") for part in told["content"]]

    before = len(laptop.environment.model.requests)
    refused = laptop.run("session", "send", "frontend", "look", *files)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Model fake/fake-1 does not take image input: pixel.png" in refused.stderr
    assert "fake/fake-2" in refused.stderr
    assert len(laptop.environment.model.requests) == before


def test_what_cannot_be_attached_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    with (tmp_path / "large").open("wb") as large:
        large.truncate(MOST_BYTES + 1)
    half = tmp_path / "half.txt"
    half.write_bytes(b"x" * (MOST_BYTES // 2 + 1))

    for names, words in (
        (["missing"], "missing cannot be read: No such file"),
        (["pipe"], "pipe is not a regular file"),
        (["."], "is not a regular file"),
        (["binary"], "binary is of a type that OpenCode cannot pass to a model"),
        (["latin.txt"], "latin.txt is of a type"),
        (["large"], "The files are larger than 16 MiB together, with "),
        (["half.txt", "half.txt"], "The files are larger than 16 MiB together, with "),
        (["half.txt/below"], "cannot be read: Not a directory"),
    ):
        with pytest.raises(UsageError, match=words):
            read_attachments([tmp_path / name for name in names])


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x04\0\0\0WEBP", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<svg/>", "text/plain"),
        (b"", "text/plain"),
    ],
)
def test_the_type_of_a_file_is_found_by_its_content(tmp_path: Path, content: bytes, mime: str) -> None:
    (tmp_path / "file.bin").write_bytes(content)
    (read,) = read_attachments([tmp_path / "file.bin"])

    assert (read.name, read.mime) == ("file.bin", mime)
