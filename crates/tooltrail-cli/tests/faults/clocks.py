"""Tests clocks that jump or pass midnight, with libfaketime of the distribution, and times that senders claim."""

import json
import random
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import oracle
from case import case
from ledger import Ledger, Senders, line, post
from place import Broken, Place, Skip


class Clock:
    """The wall clock of a process, which can be set while the process runs. The monotonic clock is not changed."""

    def __init__(self, place):
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            raise Skip("libfaketime is not installed")
        self.file = place.folder / "time"
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def set(self, text):
        """Sets the clock, which then continues to run."""
        new = self.file.with_suffix(".new")
        # An offset from now, so that the clock does not stop and does not start again in each process.
        offset = (
            datetime.fromisoformat(text).replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)
        ).total_seconds()
        new.write_text(f"{offset:+.3f}\n")
        new.rename(self.file)


# The times to which the clock is set, one after another, while callers send.
JUMPS = {
    "midnight": ["2026-11-23 23:59:59"],
    "year": ["2026-12-31 23:59:59"],
    "back-1s": ["2026-11-23 12:00:00", "2026-11-23 11:59:59"],
    "back-1h": ["2026-11-23 00:30:00", "2026-11-22 23:30:00", "2026-11-23 00:30:00"],
    "back-1d": ["2026-11-23 12:00:00", "2026-11-22 12:00:00", "2026-11-23 12:00:00"],
    "forward-10y": ["2026-11-23 12:00:00", "2036-11-23 12:00:00", "2026-11-23 12:00:00"],
    "before-1970": ["2026-11-23 12:00:00", "1969-12-31 23:59:50", "1960-01-01 00:00:00", "2026-11-23 12:00:10"],
    "leap-second": ["2016-12-31 23:59:59"],
    "32-bits": ["2038-01-19 03:14:06"],
}


@case("clock", "a clock that jumps or passes midnight under load", small=4, full=100, seeds=lambda: JUMPS)
def clock(seed):
    with Place() as place:
        clock, ledger = Clock(place), Ledger()
        clock.set(JUMPS[seed][0])
        service = place.service(env=clock.environment)
        with Senders(service, ledger, seed, callers=3, users=("alice", "own"), batch=10):
            for instant in JUMPS[seed]:
                clock.set(instant)
                time.sleep(1.6)
        if set(ledger.statuses) - {200, 503, None}:
            raise Broken(f"answers {ledger.statuses}")
        if ledger.statuses.get(200, 0) < 10:
            raise Broken(f"hardly anything was taken: {ledger.statuses} {service.log()}")
        # In half of the rounds, recovery must restore the rest from the journal.
        service.kill() if random.Random(seed).random() < 0.5 else service.stop()
        stored = oracle.check(place, ledger, env=clock.environment)
        if any(found.get("duration_ms", 0) < 0 for _, found in stored):
            raise Broken("a duration is negative")
        days = {path.name[:10] for path, _ in stored}
        return {"acknowledged": len(ledger.acknowledged), "days": len(days)}


@case("clock-unset", "a service that is started while the clock stands before 1970", small=1, full=1)
def unset(seed):
    with Place() as place:
        clock = Clock(place)
        clock.set("1969-12-31 23:00:00")
        refused = place.run("serve", "--listen", "127.0.0.1:0", env=clock.environment)
        if refused.returncode != 2 or "before 1970" not in refused.stderr:
            raise Broken(f"ended with {refused.returncode}: {refused.stderr}")
        return {}


@case(
    "late",
    "times that senders claim: late by hours and days, equal by the thousand, before and after all calendars",
    small=1,
    full=100,
)
def late(seed):
    draw = random.Random(f"late {seed}")
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        now = datetime.now(timezone.utc)
        for _ in range(60):
            ago = draw.choice((0, 1, 60, 3_600, 86_400, 86_400 * 400, 86_400 * 365 * 40, -86_400 * 3_000))
            when = (now - timedelta(seconds=ago * draw.random())).isoformat()
            if post(service, ledger, "late", ["alice", "bob"], ts=when) not in (200, 207):
                raise Broken(f"a time of {when} is refused: {ledger.statuses}")
        same = f"{now:%Y-%m-%dT%H:%M:%S}.500Z"
        for _ in range(20):
            post(service, ledger, "same", ["same"] * 500, ts=same)
        odd = Ledger()
        for when in (
            "9999-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2016-12-31T23:59:60Z",
            "-0001-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "now",
            "",
        ):
            if post(service, odd, "odd", ["odd"], ts=when) not in (200, 400):
                raise Broken(f"a time of {when!r} got {odd.statuses}")
        service.ask("POST", "/api/audit/entries", line("negative.1", "negative", duration_ms=-5))
        paged = pages(service, "same")
        if len(paged) != 10_000 or any(count > 1 for count in paged.values()):
            raise Broken(f"10,000 entries of one time: {len(paged)} paged, {sum(paged.values()) - len(paged)} twice")
        service.kill()
        stored = oracle.check(place, ledger)
        if any("duration_ms" in found and found["duration_ms"] < 0 for _, found in stored):
            raise Broken("a duration is negative")
        return {"acknowledged": len(ledger.acknowledged), "odd times taken": len(odd.acknowledged)}


def pages(service, user):
    """Returns how often each entry appeared in the pages of a question."""
    shown, cursor = Counter(), ""
    while cursor is not None:
        answer = service.json(f"/api/audit/recent?user={user}&limit=997{cursor}")
        shown.update(json.dumps(found["call_id"]) for found in answer["entries"])
        cursor = answer["next"] and f"&cursor={answer['next']}"
    return shown
