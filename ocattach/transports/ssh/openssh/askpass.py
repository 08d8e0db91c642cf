"""Run by ssh as SSH_ASKPASS: passes a question to the ocattach process that started ssh, and prints the answer.

Runs isolated and imports nothing but the standard library's basics: `python -I -S askpass.py SOCKET QUESTION`.
ssh sets SSH_ASKPASS_PROMPT to `confirm` for yes or no, and to `none` for a notice that it ends itself (ssh(1)).
"""

import os
import socket
import sys

MAX_ANSWER = 64 * 1024


def main() -> int:
    """Return the exit code: 0 if the question was answered."""
    path, question = sys.argv[1:3]
    kind = os.environ.get("SSH_ASKPASS_PROMPT", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        connection.sendall(f"{kind}\0{question}".encode(errors="surrogateescape"))
        connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while len(answer) < MAX_ANSWER and (data := connection.recv(4096)):
            answer += data
    if not answer.startswith(b"+"):
        return 1
    sys.stdout.buffer.write(answer[1:] + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
