"""Sends one request with entries to the service and returns the verdict; the connection stays open."""

import http.client
import json
import os
import ssl
import time
from enum import Enum
from typing import Callable, NamedTuple, Optional

from tooltrail import _settings

# Longest wait for the service to accept a byte or to answer; it makes entries durable within two seconds.
REPLY_WAIT_S = 10.0

# Longest answer in bytes: ten times the size of a refusal for each line of the largest batch.
ANSWER_BYTES_MAX = 4 << 20

# A connection that was idle for longer is replaced: the service closes idle connections after ten seconds, and if a
# request is lost for this reason, it cannot be distinguished from an accepted one.
IDLE_S_MAX = 5.0


class Verdict(Enum):
    """The result of sending a batch."""

    TAKEN = "taken"
    TOO_LARGE = "too large"
    NOT_UNDERSTOOD = "not understood"
    LATER = "later"


class Answer(NamedTuple):
    """The answer of the service."""

    verdict: Verdict
    # The number of lines of a taken batch that the service refused.
    rejected: int = 0
    # How long to wait before the next try, if the service said so.
    pause_s: Optional[float] = None
    # The reason, in a few words and without any part of the entries.
    why: str = ""


class Connection:
    """A connection to the service, for use by one thread."""

    def __init__(self, service: Callable[[], _settings.Service] = _settings.service) -> None:
        self._service = service
        self._open: Optional[http.client.HTTPConnection] = None
        self._opened_for: Optional[_settings.Service] = None
        self._used_at = 0.0
        # Longest wait in seconds for a connection, and for each piece of an answer.
        self.wait_s = REPLY_WAIT_S

    def post(self, body: bytes, lost: int) -> Answer:
        """Sends entries and the count of dropped ones. Raises errors of the system, of TLS or of the settings."""
        service = self._service()
        if service != self._opened_for or time.monotonic() - self._used_at > IDLE_S_MAX:
            self.close()
        if self._open is not None:
            try:
                return self._once(service, body, lost)
            except (ConnectionError, http.client.RemoteDisconnected):
                # The service closed the connection between two requests; this is not an outage yet.
                self.close()
        try:
            return self._once(service, body, lost)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def abandon(self) -> None:
        """Drops a connection that a forked process inherited, without taking a lock and without sending anything."""
        # A normal close could wait for a buffer's lock that is held by a thread which does not exist after the fork.
        inherited = getattr(self._open, "sock", None)
        self._open = None
        if inherited is not None:
            descriptor = inherited.detach()
            if descriptor >= 0:
                os.close(descriptor)

    def _once(self, service: _settings.Service, body: bytes, lost: int) -> Answer:
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json", "User-Agent": "tooltrail-python"}
        if service.token:
            headers["Authorization"] = f"Bearer {service.token}"
        if lost:
            headers["Tooltrail-Lost"] = str(lost)
        if self._open is None:
            self._open, self._opened_for = _connection(service, self.wait_s), service
        self._open.request("POST", f"{service.path}/api/audit/entries", body, headers)
        response = self._open.getresponse()
        answer = response.read(ANSWER_BYTES_MAX)
        self._used_at = time.monotonic()
        if not response.isclosed() and response.read(1):
            self.close()
        return _answer(response.status, response.getheader("Retry-After"), answer)


def _connection(service: _settings.Service, wait_s: float) -> http.client.HTTPConnection:
    if service.secure:
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(service.host, service.port, timeout=wait_s, context=context)
    return http.client.HTTPConnection(service.host, service.port, timeout=wait_s)


def _answer(status: int, retry_after: Optional[str], body: bytes) -> Answer:
    rejected = _rejected(body)
    if rejected is not None and (status in (200, 207) or (status == 400 and rejected > 0)):
        return Answer(Verdict.TAKEN, rejected)
    why = f"the service answered {status}"
    if status == 413:
        return Answer(Verdict.TOO_LARGE, why=why)
    if status == 400:
        return Answer(Verdict.NOT_UNDERSTOOD, why=why)
    if status == 401:
        why += ": TOOLTRAIL_TOKEN is missing, mistyped or revoked; `tooltrail token add NAME --role ingest` makes one"
    if status == 403:
        why += ": TOOLTRAIL_TOKEN may not send entries; it needs the role ingest or admin"
    if status in (404, 405, 421):
        why += ": TOOLTRAIL_URL leads to something else"
    pause = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return Answer(Verdict.LATER, pause_s=pause, why=why)


def _rejected(body: bytes) -> Optional[int]:
    """Returns how many lines an answer refuses, or `None` if it is not an answer to a batch."""
    try:
        answer = json.loads(body)
        accepted, rejected = answer["accepted"], answer["rejected"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return len(rejected) if isinstance(accepted, int) and isinstance(rejected, list) else None
