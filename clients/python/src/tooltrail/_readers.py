"""Reads the newest entries of one user or of all users directly from the day files."""

import heapq
import json
import math
import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Dict, List, Optional, Tuple

from tooltrail import _files, _settings
from tooltrail._folders import OWN_FOLDER, folders_of
from tooltrail._instant import day_of, instant, start_of
from tooltrail._late import LATE_MS, Notes

# The folder below a user's folder that holds the day files.
TRAIL_FOLDER = "tool_audit"

# The fields that every entry has.
FIELDS = ("ts", "user", "tool", "args", "status", "result_chars", "result_snippet")

_DAY_MS = 86_400_000
_OUR_HEAD = re.compile(rb'\{"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",')

Entry = Dict[str, Any]
# Instant, folder, date and offset: the position of an entry in the order; no two positions are equal.
Place = Tuple[int, str, date, int]


def read_recent(user: str, days: int = 7, limit: int = 200) -> List[Entry]:
    """Returns the newest entries of a user, newest first: from the last `days` UTC dates, at most `limit`.

    Skips lines that are not entries. Raises `TrailError` if the home is missing, and `OSError` if the files may not be
    read. Returns an empty list for a user without a trail.
    """
    return _newest(str(user), days, limit)


def read_recent_all_users(days: int = 7, limit: int = 500) -> List[Entry]:
    """Returns the newest entries of all users, newest first; otherwise like `read_recent`."""
    return _newest(None, days, limit)


def _newest(user: Optional[str], days: int, limit: int) -> List[Entry]:
    if days < 1 or limit < 1:
        return []
    zone = _settings.zone()
    today = datetime.now(timezone.utc).date()
    first = today - timedelta(days=min(days, (today - date(1970, 1, 1)).days) - 1)
    with _files.opened_home(_settings.home()) as home:
        notes = Notes(home)
        scans = [
            _Scan(home, notes, folder, day, zone)
            for folder in _folders(home, user)
            for day in map(day_of, _files.names(home, (folder, TRAIL_FOLDER), folders=False))
            # A time without a zone may belong to the next date.
            if day is not None and day >= first - timedelta(days=1)
        ]
        return _merged(scans, start_of(first, timezone.utc), limit)


def _folders(home: int, user: Optional[str]) -> List[str]:
    def all_names() -> List[str]:
        return [name for name in _files.names(home, (), folders=True) if name != OWN_FOLDER]

    return all_names() if user is None else folders_of(user, all_names)


def _merged(scans: "List[_Scan]", first_ms: int, limit: int) -> List[Entry]:
    """Merges scans: always reads the file whose next line may be the newest, until no newer line can follow."""
    best: List[Tuple[Place, Entry]] = []
    order = [(-scan.up_to, number) for number, scan in enumerate(scans)]
    heapq.heapify(order)
    while order:
        up_to, number = -order[0][0], order[0][1]
        full = len(best) >= limit
        if up_to < first_ms or (full and best[0][0][0] > up_to):
            break
        for place, ts, line in scans[number].step():
            full = len(best) >= limit
            if ts < first_ms or (full and place < best[0][0]):
                continue
            entry = _entry(line)
            if entry is not None:
                # All positions differ, so the entries themselves are never compared.
                (heapq.heappushpop if full else heapq.heappush)(best, (place, entry))
        if scans[number].done:
            heapq.heappop(order)
        else:
            heapq.heapreplace(order, (-scans[number].up_to, number))
    return [entry for _, entry in sorted(best, key=lambda found: found[0], reverse=True)]


class _Scan:
    """A backward scan of one day file.

    A line is ordered by its `ts`, with two exceptions. A `ts` outside the file's day is replaced with the limit of that
    day. A `ts` that exceeds the lowest `ts` of the lines after it by more than the noted lateness is replaced with that
    lowest `ts` plus the noted lateness.
    """

    def __init__(self, home: int, notes: Notes, folder: str, day: date, zone: Optional[tzinfo]) -> None:
        self.folder, self.day, self.zone = folder, day, zone
        utc, local = start_of(day, timezone.utc), start_of(day, zone)
        # A day in local time has up to 25 hours.
        self.from_ms = min(utc, local) - LATE_MS
        self.to_ms = max(utc + _DAY_MS, local + _DAY_MS + _DAY_MS // 24) + LATE_MS
        self.lowest = self.to_ms
        self.done = False
        self.late_ms: Optional[int] = None
        self._notes = notes
        self._blocks = _files.blocks(home, (folder, TRAIL_FOLDER, f"{day.isoformat()}.jsonl"))

    @property
    def up_to(self) -> int:
        """The latest instant, in milliseconds, at which a line that was not read yet can be ordered."""
        return min(self.lowest + (self.late_ms or LATE_MS), self.to_ms)

    def step(self) -> List[Tuple[Place, int, bytes]]:
        """Reads one block; returns each line's position, instant and bytes."""
        found = []
        block = next(self._blocks, None)
        self.done = block is None
        if self.late_ms is None:
            self.late_ms = self._notes.late_ms(self.day, self.folder)
        for offset, line in block or ():
            line = line.removesuffix(b"\r")
            if offset == 0 and line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
            ts = _line_instant(line, self.zone)
            if ts is None:
                continue
            ordered = min(max(ts, self.from_ms), self.to_ms, self.lowest + self.late_ms)
            if self.from_ms <= ts <= self.to_ms:
                self.lowest = min(self.lowest, ordered)
            found.append(((ordered, self.folder, self.day, offset), ts, line))
        return found


def _line_instant(line: bytes, zone: Optional[tzinfo]) -> Optional[int]:
    """Returns a line's instant; lines of the service begin with `ts`, so only other lines are parsed."""
    head = _OUR_HEAD.match(line)
    if head:
        known = instant(head[1].decode(), zone)
        if known is not None:
            return known
    entry = _entry(line)
    return None if entry is None else instant(entry["ts"], zone)


def _entry(line: bytes) -> Optional[Entry]:
    """Returns a line as an entry, or `None` if it is not an entry."""
    try:
        entry = json.loads(line, parse_float=_float, parse_int=_int, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and all(field in entry for field in FIELDS) else None


def _float(digits: str) -> Any:
    """Returns a number, or its text if the number is infinite, which JSON cannot represent."""
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int(digits: str) -> Any:
    try:
        return int(digits)
    except ValueError:  # more digits than Python accepts
        return digits
