"""Converts the `ts` of a line to milliseconds since 1970."""

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Optional

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TS = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?", re.ASCII
)


def instant(ts: object, zone: Optional[tzinfo]) -> Optional[int]:
    """Returns a time in milliseconds, truncated, or `None` if it is not a time.

    A time without a zone is in `zone`; `None` means the system's zone.
    """
    found = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, utc, sign, ahead_h, ahead_min = found.groups()
    try:
        # A leap second counts as the second before it.
        naive = datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second or 0), 59))
        if sign:
            ahead = timedelta(hours=int(ahead_h), minutes=int(ahead_min))
            known = naive.replace(tzinfo=timezone(ahead if sign == "+" else -ahead))
        elif utc:
            known = naive.replace(tzinfo=timezone.utc)
        else:
            known = naive.replace(tzinfo=zone) if zone else naive.astimezone()
        seconds = int((known - _EPOCH).total_seconds())
    except (ValueError, OverflowError, OSError):
        return None
    return seconds * 1_000 + int((fraction or "0").ljust(9, "0")[:3]) if seconds >= 0 else None


def start_of(day: date, zone: Optional[tzinfo]) -> int:
    """Returns the first instant of a date in a zone, or in UTC if the zone's time is outside the calendar."""
    local = instant(f"{day.isoformat()}T00:00:00", zone)
    if local is not None:
        return local
    return int((datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - _EPOCH).total_seconds()) * 1_000


def day_of(name: str) -> Optional[date]:
    """Returns the date of a day file's name, or `None` for any other name."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d\.jsonl", name, re.ASCII):
        return None
    try:
        return date(int(name[:4]), int(name[5:7]), int(name[8:10]))
    except ValueError:
        return None
