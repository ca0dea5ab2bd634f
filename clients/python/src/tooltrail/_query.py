"""Asks the service for a page of entries, all pages, or counts. This needs a token that may read."""

import http.client
import json
import os
import ssl
from typing import Any, Dict, Iterator, List, NamedTuple, Optional
from urllib.parse import urlencode

from tooltrail import _settings
from tooltrail._settings import TrailError

# Longest wait for a piece of an answer: the service limits its own work to five seconds.
ANSWER_WAIT_S = 30.0

# Longest answer in bytes: a page of a thousand entries of 64 KiB each, and the JSON around them.
ANSWER_BYTES_MAX = 80 << 20

Entry = Dict[str, Any]


class Page(NamedTuple):
    """Entries that answer a question, newest first."""

    entries: List[Entry]
    # The cursor of the next page; `None` at the end.
    next: Optional[str]
    # False if a limit was reached (`next` then continues from there), or if something could not be read.
    complete: bool


def query(
    text: str = "",
    *,
    user: Optional[str] = None,
    days: int = 7,
    limit: int = 200,
    cursor: Optional[str] = None,
    token: Optional[str] = None,
) -> Page:
    """Returns a page of the newest entries that answer a question, e.g. `tool=fs.* status=error last=1h "free text"`.

    Asks the service at `TOOLTRAIL_URL` with `token`, otherwise `TOOLTRAIL_READ_TOKEN`, otherwise `TOOLTRAIL_TOKEN`. The
    token must have the role `admin` or `user`. Raises `TrailError` if the question is not valid or the service cannot
    be reached; the text of the error says what to change.

        page = query("tool=fs.* status=error", user="alice")
        older = query("tool=fs.* status=error", user="alice", cursor=page.next)
    """
    asked = {"q": text or None, "user": user, "days": days, "limit": limit, "cursor": cursor}
    answer = _ask("recent", asked, token)
    try:
        entries, following, complete = answer["entries"], answer["next"], answer["complete"]
    except (KeyError, TypeError):
        raise TrailError("TOOLTRAIL_URL leads to something else than tooltrail") from None
    return Page(entries, following, bool(complete))


def query_all(
    text: str = "",
    *,
    user: Optional[str] = None,
    days: int = 7,
    limit: int = 1_000,
    token: Optional[str] = None,
) -> Iterator[Entry]:
    """Yields every entry that answers a question, newest first; pages of `limit` are fetched when needed."""
    cursor: Optional[str] = None
    while True:
        page = query(text, user=user, days=days, limit=limit, cursor=cursor, token=token)
        yield from page.entries
        if page.next is None:
            return
        cursor = page.next


def stats(text: str = "", *, user: Optional[str] = None, days: int = 7, token: Optional[str] = None) -> Dict[str, Any]:
    """Returns counts and quantiles of the calls that answer a question: `total`, `by_status`, `by_tool`, `by_day` and so on."""
    return _ask("stats", {"q": text or None, "user": user, "days": days}, token)


def _ask(what: str, asked: Dict[str, Any], token: Optional[str]) -> Dict[str, Any]:
    service = _settings.service()
    token = token or os.environ.get("TOOLTRAIL_READ_TOKEN", "").strip() or service.token
    parameters = urlencode({name: value for name, value in asked.items() if value is not None})
    if service.secure:
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            service.host, service.port, timeout=ANSWER_WAIT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(service.host, service.port, timeout=ANSWER_WAIT_S)
    headers = {"Accept": "application/json", "User-Agent": "tooltrail-python"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", f"{service.path}/api/audit/{what}?{parameters}", headers=headers)
        response = connection.getresponse()
        body = response.read(ANSWER_BYTES_MAX)
        status = response.status
    except (OSError, http.client.HTTPException) as error:
        raise TrailError(f"the service at TOOLTRAIL_URL cannot be reached: {type(error).__name__}") from None
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if status != 200 or not isinstance(answer, dict):
        raise TrailError(_why(status, answer))
    return answer


def _why(status: int, answer: object) -> str:
    """Returns the error text for an answer that is not a valid result."""
    if status == 401:
        return "TOOLTRAIL_READ_TOKEN is missing, mistyped or revoked; `tooltrail token add NAME --role admin` makes one"
    if status == 403:
        return "TOOLTRAIL_READ_TOKEN may not read this; it needs the role admin, or user for its own user"
    if status not in (404, 405, 421) and isinstance(answer, dict) and "detail" in answer:
        hint = f" ({answer['hint']})" if answer.get("hint") else ""
        return f"{answer['detail']}{hint}"
    return f"TOOLTRAIL_URL leads to something else: it answered {status}"
