import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ocattach.digest import sha256


@given(st.binary())
def test_a_digest_is_that_of_hashlib(data: bytes) -> None:
    assert sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()
