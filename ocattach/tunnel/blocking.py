"""Awaiting calls that block, without the event loop's own thread pool.

Its threads are waited for when the loop and the interpreter end: one dial into the void would hold up both.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, discard: Callable[[T], object] = lambda _: None) -> T:
    """What `call` returns or raises, run on a daemon thread of its own.

    When nobody awaits it any more, its result is given to `discard`, on a thread too.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  (it belongs to whoever awaits)
            _set(future.set_exception, error)
            return
        if not _set(future.set_result, result):
            discard(result)

    threading.Thread(target=run, name="ocattach-blocking", daemon=True).start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if not future.cancel() and future.exception() is None:
            threading.Thread(target=discard, args=(future.result(),), daemon=True).start()
        raise


def _set(setter: Callable[[T], None], value: T) -> bool:
    try:
        setter(value)
    except InvalidStateError:
        return False
    return True
