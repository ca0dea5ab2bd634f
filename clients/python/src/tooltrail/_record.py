"""Recording: a call becomes a line in the queue of this process, and is sent before the process ends."""

import asyncio
import atexit
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Optional

from tooltrail import _encode
from tooltrail._post import Connection
from tooltrail._sender import Sender

log = logging.getLogger("tooltrail")

# How long the end of the process may wait for the last entries: what supervisors grant before they kill.
EXIT_WAIT_S = 5.0


def record(
    user: str, tool: str, args: Mapping[str, Any], status: str, result: object = ""
) -> "Coroutine[Any, Any, None]":
    """Records one call: who called which tool with what, and how it ended (`ok`, `error` or `denied`).

    The call is queued before this returns, so it is in the trail even if the coroutine is never awaited or its task
    never runs. It never waits and never raises; a thread sends it to the service.

        await record("alice", "fs.read", {"path": "notes.md"}, "ok", "# Notes")
        asyncio.create_task(record("alice", "fs.read", {"path": "x"}, "error", "no such file"))
    """
    submit(lambda: _encode.line(user, tool, _encode.json_text(args), status, result))
    return _done()


def record_now(user: str, tool: str, args: Mapping[str, Any], status: str, result: object = "") -> None:
    """Records one call from code that is not asynchronous; as `record` otherwise.

        record_now("alice", "fs.read", {"path": "notes.md"}, "ok", "# Notes")
    """
    submit(lambda: _encode.line(user, tool, _encode.json_text(args), status, result))


async def _done() -> None:
    return None


# To whoever asks, it is what it returns: a coroutine function.
record._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # type: ignore[attr-defined]
if hasattr(inspect, "markcoroutinefunction"):
    record = inspect.markcoroutinefunction(record)


def flush(timeout: float = EXIT_WAIT_S) -> bool:
    """Waits until the service has answered for every call queued so far; false if it did not in `timeout` seconds.

    A call that was answered for is in the trail. The end of the process does this by itself.
    """
    return _sender.flush(timeout)


def submit(encode: Callable[[], bytes]) -> None:
    """Queues the line that `encode` returns; whatever goes wrong is counted and never raised."""
    try:
        _sender.put(encode())
        _flush_at_process_exit()
    except Exception:  # a failure to record must never break a call
        _sender.lose()


_sender = Sender(Connection())


def _forked() -> None:
    """Begins anew in a forked process: its queue is the parent's to send, and the thread stayed behind."""
    global _sender, _finalized, _exit_by
    inherited, _sender = _sender, Sender(Connection())
    _finalized, _exit_by = False, None
    inherited.connection.abandon()


# Whether the end of this process is seen to, and when it must be over once it has begun.
_finalized = False
_exit_by: Optional[float] = None


def _flush_at_process_exit() -> None:
    """Sees to the end of a process made by `multiprocessing`, which skips what is registered with `atexit`."""
    global _finalized
    if _finalized:
        return
    _finalized = True
    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, _flush_at_exit, exitpriority=0)


def _flush_at_exit() -> None:
    global _exit_by
    sender, first, now = _sender, _exit_by is None, time.monotonic()
    # A process can end twice, by `multiprocessing` and by `atexit`; the wait is one.
    _exit_by = now + EXIT_WAIT_S if _exit_by is None else _exit_by
    sender.flush(max(0.0, _exit_by - now))
    unsent = sender.unsent()
    if unsent and first:
        log.warning("tooltrail: %d calls are not in the trail: the process ended before they could be sent", unsent)


atexit.register(_flush_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
