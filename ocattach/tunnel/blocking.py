"""Await blocking calls without the event loop's thread pool.

The loop and the interpreter join the pool's threads when they end: one dial without an answer would delay both.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, discard: Callable[[T], object] = lambda _: None) -> T:
    """Run `call` on a separate daemon thread and return its result.

    When the awaiting task is cancelled, `discard` is called with the result, also on a thread.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  (raised where it is awaited)
            _set(future.set_exception, error)
            return
        except BaseException as error:  # noqa: BLE001  (SystemExit would end the loop)
            _set(future.set_exception, RuntimeError(type(error).__name__))
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
