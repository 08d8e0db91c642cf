"""Inputs that are nearly right, which is where parsers go wrong."""

import random
from collections.abc import Sequence

LONGEST = 4096
TOKENS = [
    b"-", b"--", b"%00", b"%0a", b"%2f", b"%25", b"%zz", b"%", b"\x00", b"\n", b"\r\n", b"\x1b[2J",
    b"\x1b]0;t\x07", b"\x7f", b"://", b":", b"/", b"//", b"@", b"?", b"&", b"=", b"#", b"[", b"]",
    b"[::1]", b"~", b"~/", b"..", b"$(id)", b"`id`", b";", b"|", b"'", b'"', b"\\", b"\\u001b", b"\\ud800",
    b"{", b"}", b",", b"/*", b"*/", b"// ", b"# ", b"null", b"true", b"1e999", b"-1", b"65536",
    b"99999999999999999999", b"0x1f", b"!!python/object", b"&a ", b"*a", b"<<: ", b"---\n", b"...", b"? ",
    b"- ", b"|\n", b">\n", b"{env:A}", b"transport", b"container", b"compose", b"host", b"port", b"env",
    b"headers", b"docker", b"podman", b"ssh", b"k8s", b"http", b"https", b"local", b"environments",
    b"experimental", b"selector/", "é".encode(), "\u202e".encode(), "\u2028".encode(), "\u0430".encode(),
    "\ufeff".encode(), b"\xff", b"\xc0\xaf", b"xn--", b"NaN", b"Infinity", b"1e400", b'"\\ud800"', b"[" * 200,
    b"[]", b"{}", b"ses_", b'"id":', b'"time":', b"data: ", b"\n\n", b"ocattach:", b"HTTP/1.1 ", b"chunked",
    b"Content-Length: ", b"Transfer-Encoding: ", b"Upgrade: ", b"Host: ", b"\x00\x00\x00\x01", b"\xff\xff\xff\xff",
]  # fmt: skip


def mutated(chance: random.Random, known: Sequence[bytes]) -> bytes:
    """One of the known inputs with some things changed."""
    data = bytearray(chance.choice(known))
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        change(chance, data, known)
    return bytes(data[:LONGEST])


def change(chance: random.Random, data: bytearray, known: Sequence[bytes]) -> None:
    """Change one thing."""
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 16)))
    match chance.randrange(7):
        case 0:
            data[at:at] = chance.choice(TOKENS)
        case 1:
            data[at:end] = chance.choice(TOKENS)
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = bytes([chance.randrange(256)])
        case 4:
            data[at:at] = data[at:end] * chance.choice((1, 2, 50))
        case 5:
            other = chance.choice(known)
            start = chance.randint(0, len(other))
            data[at:end] = other[start : start + chance.randint(1, 40)]
        case _:
            if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
