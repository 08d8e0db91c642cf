"""Commands of a pod in the foreground, on the channels of an exec."""

import json
import os

from ocattach.transports.containers.exec_stream import STDERR as STDERR_FRAME
from ocattach.transports.containers.exec_stream import STDOUT as STDOUT_FRAME
from ocattach.transports.containers.exec_stream import frame, split_frames
from ocattach.transports.foreground import AttachedCommand
from ocattach.transports.kubernetes.channels import STATUS, STDERR, STDIN, STDOUT, Channels
from ocattach.transports.kubernetes.status import exit_code
from ocattach.transports.kubernetes.streams import COMMAND, ChannelStream

KINDS = {STDOUT: STDOUT_FRAME, STDERR: STDERR_FRAME}

RESIZE = 4
"""The channel for the size of the terminal (apimachinery/pkg/util/remotecommand/constants.go)."""

FEED = """
block() { dd bs="$1" count=1 iflag=fullblock; }
missing=$(echo | block 1 2>&1 >/dev/null) || { echo "$missing" >&2; exit 126; }
exec 3<&0
{ while read -r size && [ "$size" -gt 0 ] && block "$size"; do :; done <&3 2>/dev/null & } | "$@" 3<&-
"""
FEEDER = ("sh", "-c", FEED, "sh")
"""Runs the command that follows, with input from blocks, each after a line with its size, up to a size of 0.

Clusters before 1.30 cannot send the end of the input.
"""


def attached(
    channels: Channels, place: str, *, in_blocks: bool, size: os.terminal_size | None
) -> AttachedCommand:
    """Return a running exec as a command in the foreground. With `in_blocks` it is one that FEEDER runs."""
    stream = FramedStream(channels, in_blocks=in_blocks)
    if size is not None:
        stream.resize(size)
    return AttachedCommand(
        stream, split_frames(), stream.resize, lambda: exit_code(bytes(stream.status), place)[0]
    )


class FramedStream(ChannelStream):
    """The channels as a socket, on which the output is framed as by Docker, to tell stderr from stdout."""

    quiet_milliseconds = None

    def __init__(self, channels: Channels, *, in_blocks: bool) -> None:
        self.status = bytearray()
        """The cluster's message about the command's end."""
        self._in_blocks = in_blocks
        super().__init__(channels, COMMAND)

    def resize(self, size: os.terminal_size) -> None:
        """Send the size of the terminal. Called from another thread than the one that copies."""
        message = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
        with self.lock:
            self._channels.send(RESIZE, message)

    def _take(self, channel: int, data: bytes) -> None:
        if channel in KINDS:
            self._backlog += frame(KINDS[channel], data)
        elif channel == STATUS:
            self.status += data

    def _put(self, data: bytes) -> None:
        super()._put(b"%d\n%b" % (len(data), data) if self._in_blocks else data)

    def _end_input(self) -> None:
        super()._end_input()
        if self._in_blocks:
            self._channels.send(STDIN, b"0\n")

    def _has_ended(self) -> bool:
        return self._channels.ended and not self._backlog
