"""Records calls: each call becomes a line in the queue of this process, which is sent before the process ends."""

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

# How long the end of the process may wait for the last entries; supervisors often kill a process after a longer time.
EXIT_WAIT_S = 5.0


def record(
    user: str, tool: str, args: Mapping[str, Any], status: str, result: object = ""
) -> "Coroutine[Any, Any, None]":
    """Records one call: the user, the tool, the arguments and the outcome (`ok`, `error` or `denied`).

    The call is queued before this returns, so it is in the trail even if the coroutine is never awaited or its task
    never runs. It never waits and never raises; a thread sends it to the service.

        await record("alice", "fs.read", {"path": "notes.md"}, "ok", "# Notes")
        asyncio.create_task(record("alice", "fs.read", {"path": "x"}, "error", "no such file"))
    """
    submit(lambda: _encode.line(user, tool, _encode.json_text(args), status, result))
    return _done()


def record_now(user: str, tool: str, args: Mapping[str, Any], status: str, result: object = "") -> None:
    """Records one call from code that is not asynchronous; otherwise like `record`.

        record_now("alice", "fs.read", {"path": "notes.md"}, "ok", "# Notes")
    """
    submit(lambda: _encode.line(user, tool, _encode.json_text(args), status, result))


async def _done() -> None:
    return None


# `record` is a plain function that returns a coroutine; mark it as a coroutine function for code that checks this.
record._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # type: ignore[attr-defined]
if hasattr(inspect, "markcoroutinefunction"):
    record = inspect.markcoroutinefunction(record)


def flush(timeout: float = EXIT_WAIT_S) -> bool:
    """Waits until the service has answered for every call queued so far; false if that takes over `timeout` seconds.

    An answered call is in the trail. The end of the process calls this automatically.
    """
    return _sender.flush(timeout)


def submit(encode: Callable[[], bytes]) -> None:
    """Queues the line that `encode` returns; an error is counted and never raised."""
    try:
        _sender.put(encode())
        _flush_at_process_exit()
    except Exception:  # a failure to record must never break a call
        _sender.lose()


_sender = Sender(Connection())


def _forked() -> None:
    """Starts with an empty queue in a forked process: the parent sends the old queue, and the thread was not forked."""
    global _sender, _finalized, _exit_by
    inherited, _sender = _sender, Sender(Connection())
    _finalized, _exit_by = False, None
    inherited.connection.abandon()


# Whether the flush at the end of this process is registered, and the deadline of that flush once it has begun.
_finalized = False
_exit_by: Optional[float] = None


def _flush_at_process_exit() -> None:
    """Registers the flush in a process of `multiprocessing`, which does not call functions registered with `atexit`."""
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
    # Both `multiprocessing` and `atexit` can call this; they share one deadline.
    _exit_by = now + EXIT_WAIT_S if _exit_by is None else _exit_by
    sender.flush(max(0.0, _exit_by - now))
    unsent = sender.unsent()
    if unsent and first:
        log.warning("tooltrail: %d calls are not in the trail: the process ended before they could be sent", unsent)


atexit.register(_flush_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
