"""The queue, and the one thread that sends its lines to the service in batches."""

import logging
import random
import threading
import time
from collections import deque
from itertools import islice
from typing import Deque, List, Optional

from tooltrail._post import Answer, Connection, Verdict

log = logging.getLogger("tooltrail")

# The most entries and bytes that wait: some minutes of a busy orchestrator, in a small part of the machine's memory.
# Further entries are dropped and counted.
QUEUE_ENTRIES_MAX = 20_000
QUEUE_BYTES_MAX = 32 << 20

# The most entries and bytes of one request; a single entry may be larger.
BATCH_ENTRIES_MAX = 500
BATCH_BYTES_MAX = 1 << 20

# How long the first entry waits for more entries, so that one sync of the service's disk serves all of them.
LINGER_S = 0.02

# First and longest pause after a failure; each pause is twice the one before.
PAUSE_S_FIRST = 0.1
PAUSE_S_MAX = 5.0

# Longest pause that the service may ask for.
RETRY_AFTER_S_MAX = 30.0

# Longest pause while a caller of `flush` waits.
HURRY_S = 0.1

# Tries after which a batch that the service does not understand is dropped, because it must not block the others.
TRIES_MAX = 5


class Sender:
    """Sends lines in the order of `put`. Every method may be called from any thread and from a signal handler."""

    def __init__(
        self,
        connection: Connection,
        entries_max: int = QUEUE_ENTRIES_MAX,
        bytes_max: int = QUEUE_BYTES_MAX,
    ) -> None:
        self.connection = connection
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        # Reentrant: a signal handler or a finaliser may record while its own thread holds the lock.
        self._changed = threading.Condition(threading.RLock())
        self._queue: Deque[bytes] = deque()
        self._bytes = 0
        self._accepted = 0
        self._settled = 0
        self._lost = 0
        self._waiting = 0
        self._batch_entries = BATCH_ENTRIES_MAX
        self._failures = 0
        self._thread: Optional[threading.Thread] = None

    def put(self, line: bytes) -> None:
        """Queues a line, or drops and counts it if the queue is full."""
        with self._changed:
            if len(self._queue) >= self._entries_max or self._bytes + len(line) > self._bytes_max:
                self._lost += 1
                return
            self._queue.append(line)
            self._bytes += len(line)
            self._accepted += 1
            if len(self._queue) in (1, BATCH_ENTRIES_MAX):
                self._changed.notify_all()
            self._start()

    def lose(self) -> None:
        """Counts a call that could not be queued."""
        with self._changed:
            self._lost += 1

    def unsent(self) -> int:
        """Returns how many calls the service does not know yet: queued and dropped calls."""
        with self._changed:
            return len(self._queue) + self._lost

    def flush(self, timeout_s: float) -> bool:
        """Waits until the service has answered for all lines queued before; false on timeout."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            target = self._accepted
            self._waiting += 1
            self._changed.notify_all()
            try:
                if not self._start():
                    return self._flush_here(target, deadline)
                return self._changed.wait_for(lambda: self._settled >= target, max(0.0, timeout_s))
            finally:
                self._waiting -= 1

    def _start(self) -> bool:
        """Starts the thread if it does not run; false if that is impossible, as during the interpreter's shutdown."""
        if not self._queue or (self._thread is not None and self._thread.is_alive()):
            return True
        try:
            thread = threading.Thread(target=self._run, name="tooltrail", daemon=True)
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _flush_here(self, target: int, deadline: float) -> bool:
        """Sends from the calling thread, which holds the lock, until `target` lines are settled or time is over."""
        while self._settled < target and time.monotonic() < deadline:
            self.connection.wait_s = max(HURRY_S, deadline - time.monotonic())
            self._send()
        return self._settled >= target

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                if len(self._queue) < BATCH_ENTRIES_MAX:
                    self._changed.wait_for(lambda: self._waiting or len(self._queue) >= BATCH_ENTRIES_MAX, LINGER_S)
            self._send()

    def _send(self) -> None:
        """Sends the oldest entries, and pauses if that failed."""
        with self._changed:
            batch = self._batch()
            lost = self._lost
        if not batch:
            return
        try:
            answer = self.connection.post(b"".join(batch), lost)
        except Exception as error:  # this thread must continue after any error
            # Only the type and the system's message: the log must never contain a part of an entry.
            why = (error.strerror or "") if isinstance(error, OSError) else ""
            answer = Answer(Verdict.LATER, why=f"the service cannot be reached: {why or type(error).__name__}")
        self._settle(batch, lost, answer)

    def _batch(self) -> List[bytes]:
        """Returns the oldest entries; they stay queued until the service has answered for them."""
        batch: List[bytes] = []
        size = 0
        for line in islice(self._queue, self._batch_entries):
            size += len(line)
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(line)
        return batch

    def _settle(self, batch: List[bytes], lost: int, answer: Answer) -> None:
        verdict = answer.verdict
        if verdict is Verdict.TAKEN:
            if self._failures:
                log.info("tooltrail: entries are taken again")
            if answer.rejected:
                log.warning("tooltrail: the service refused %d of %d entries", answer.rejected, len(batch))
            self._drop(batch, answer.rejected - lost)
            self._failures = 0
        elif verdict is Verdict.TOO_LARGE and len(batch) > 1:
            self._batch_entries = len(batch) // 2
        elif verdict is Verdict.TOO_LARGE or (verdict is Verdict.NOT_UNDERSTOOD and self._failures + 1 >= TRIES_MAX):
            log.warning("tooltrail: %d entries were dropped: %s", len(batch), answer.why)
            self._drop(batch, len(batch))
            self._failures = 0
        else:
            self._failures += 1
            if self._failures == 1:
                log.warning("tooltrail: entries wait to be sent: %s", answer.why)
            self._rest(answer.pause_s)

    def _drop(self, batch: List[bytes], lost: int) -> None:
        """Removes a batch from the queue and adds `lost` to the count of lost calls."""
        with self._changed:
            for line in batch:
                self._queue.popleft()
                self._bytes -= len(line)
            self._settled += len(batch)
            self._lost += lost
            self._changed.notify_all()

    def _rest(self, asked_s: Optional[float]) -> None:
        pause = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** min(self._failures - 1, 10))
        # Random, so that not all senders reconnect at the same moment when the service is back.
        pause *= random.uniform(0.5, 1.0)
        if asked_s is not None:
            pause = max(pause, min(asked_s, RETRY_AFTER_S_MAX))
        with self._changed:
            if self._waiting:
                self._changed.wait(min(pause, HURRY_S))
            else:
                self._changed.wait_for(lambda: self._waiting, pause)
