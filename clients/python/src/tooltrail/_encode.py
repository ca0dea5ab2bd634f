"""Encodes a call as one line of JSON for the service; every call becomes a line, whatever objects it contains.

Nothing is redacted here. The service redacts before anything reaches a disk.
"""

import dataclasses
import datetime
import json
import logging
import math
import re
import time
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from os import PathLike, fspath
from typing import Any, Optional
from uuid import UUID

STATUSES = ("ok", "error", "denied")

# The longest result, in characters, that is sent completely. Of a longer result, only the beginning and the count are
# sent, because the service never stores more of it.
RESULT_CHARS_MAX = 65_536

# Characters that are sent of a longer text. The service looks for secrets in the first 4,796 characters and must see
# that more text follows.
BEGINNING_CHARS = 8_192

# The longest JSON text of the arguments, in characters; the service examines at most one megabyte of a call.
ARGS_CHARS_MAX = 1_048_576

# Levels and members that are kept of arguments that JSON cannot represent directly: the service keeps 64 levels, and
# the limits end cycles.
DEPTH_MAX = 64
MEMBERS_MAX = 10_000

# The longest text, in characters, that replaces an object that JSON cannot represent.
REPR_CHARS_MAX = 8_192

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


log = logging.getLogger("tooltrail")


def now_ms() -> int:
    """Returns the current time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def line(
    user: object,
    tool: object,
    args_json: str,
    status: object,
    result: object = None,
    *,
    reason: Optional[str] = None,
    duration_ms: Optional[float] = None,
    ts_ms: Optional[int] = None,
) -> bytes:
    """Returns a call as one line with its newline; `args_json` is the arguments' JSON text from `json_text`."""
    members = [f'"ts":"{_timestamp(now_ms() if ts_ms is None else ts_ms)}"']

    def add(name: str, value: object) -> None:
        members.append(f'"{name}":{json_text(value)}')

    name = _name(user)
    if name:
        add("user", name)
    add("tool", _name(tool))
    if len(args_json) > ARGS_CHARS_MAX:
        add("args", {"clipped": args_json[:BEGINNING_CHARS]})
        add("args_chars", len(args_json))
    else:
        members.append(f'"args":{args_json}')
    known = isinstance(status, str) and status in STATUSES
    add("status", status if known else "error")
    if not known:
        # The service would refuse the line, but a call must not be missing because of a misspelt status.
        add("extra", {"status": _name(status)})
        _tell_unknown_status()
    if reason is not None:
        add("reason", reason)
    if duration_ms is not None:
        add("duration_ms", duration_ms)
    if result is not None:
        text = str.__str__(result) if isinstance(result, str) else json_text(result)
        if len(text) > RESULT_CHARS_MAX:
            add("result_chars", len(text))
            add("result_snippet", text[:BEGINNING_CHARS])
        elif isinstance(result, str):
            add("error" if status == "error" else "result", text)
        else:
            members.append(f'"result":{text}')
    whole = "{" + ",".join(members) + "}\n"
    try:
        return whole.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair cannot be encoded as UTF-8, but it can be written as a JSON escape.
        return _LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", whole).encode()


_told_unknown_status = False


def _tell_unknown_status() -> None:
    """Logs once in a process that a status is unknown; the word itself is in the entry."""
    global _told_unknown_status
    if not _told_unknown_status:
        _told_unknown_status = True
        log.warning(
            "tooltrail: a status is none of ok, error and denied: such calls are recorded as error, with the word in"
            " extra.status (said once)"
        )


def json_text(value: object) -> str:
    """Returns a value as compact JSON; objects that JSON does not have become text. Never raises."""
    try:
        return _FAITHFUL.encode(value)
    except Exception:  # for example a cycle, or a number or key that JSON does not have
        return json.dumps(_Plain().of(value), separators=(",", ":"), ensure_ascii=False)


class _Plain:
    """Converts any object to plain JSON values, within limits."""

    def __init__(self) -> None:
        self.members_left = MEMBERS_MAX

    def of(self, value: object, depth: int = 1) -> Any:
        self.members_left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if depth > DEPTH_MAX or self.members_left < 0:
            return "…"
        try:
            return self._other(value, depth)
        except Exception:  # methods of an object may run any code
            return f"<{type(value).__name__}>"

    def _other(self, value: object, depth: int) -> Any:
        if isinstance(value, int):
            # Raises for integers that are too large for Python to print.
            int.__repr__(value)
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else float.__repr__(value)
        if isinstance(value, Mapping):
            plain: dict[str, Any] = {}
            for key, member in list(value.items()):
                if self.members_left < 0:
                    break
                name = key if isinstance(key, str) else _text(key)
                while name in plain:
                    name += "'"
                plain[name] = self.of(member, depth + 1)
            return plain
        if isinstance(value, (list, tuple)):
            return [self.of(member, depth + 1) for member in value[: max(self.members_left, 0) + 1]]
        return self.of(_stand_in(value), depth + 1)


def _stand_in(value: object) -> object:
    """Returns a JSON value or a simpler object for an object that JSON does not have."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value[:RESULT_CHARS_MAX]).decode("utf-8", "backslashreplace")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, PathLike):
        path = fspath(value)
        return path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else path
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return _text(value)


# `default` is called for each object that JSON does not have, at any depth.
_FAITHFUL = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_stand_in)


def _text(value: object) -> str:
    """Returns a short text for any object."""
    try:
        return repr(value)[:REPR_CHARS_MAX]
    except Exception:  # methods of an object may run any code
        return f"<{type(value).__name__}>"


def _name(value: object) -> str:
    """Returns a name as text; half a surrogate pair is written as an escape, because folder names need valid text."""
    if not isinstance(value, str):
        return "" if value is None else _text(value)
    return value.encode("utf-8", "backslashreplace").decode()


def _timestamp(ms: int) -> str:
    second = datetime.datetime.fromtimestamp(ms // 1_000, datetime.timezone.utc)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{ms % 1_000:03d}Z"
