"""The WebSocket frames that are sent to a cluster."""

import io
import os

import pytest
from websocket import ABNF
from websocket._abnf import frame_buffer

from ocattach.transports.kubernetes.channels import Frame


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536])
def test_a_frame_is_masked_by_us_and_unmasked_as_the_protocol_says(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(size)
    with monkeypatch.context() as without_the_library:
        without_the_library.setattr(ABNF, "mask", None)
        sent = Frame(1, 0, 0, 0, ABNF.OPCODE_BINARY, 1, data).format()

    received = frame_buffer(io.BytesIO(sent).read, skip_utf8_validation=True).recv_frame()

    assert received.mask_value
    assert received.data == data
