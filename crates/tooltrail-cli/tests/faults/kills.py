"""Tests `kill -9` at random moments: while callers send, while recovery runs, while an import runs."""

import random
import time

import oracle
from case import case
from ledger import Ledger, Senders, line
from place import Place

# The number of kills over one home; each starts with what the kill before left.
CHAIN = 5


@case("kills-sending", "kill -9 of the service under load, again and again over one home", small=4, full=2_000)
def sending(seed):
    draw = random.Random(f"kills {seed}")
    with Place() as place:
        ledger = Ledger()
        for turn in range(CHAIN):
            service = place.service()
            with Senders(service, ledger, f"{seed}-{turn}"):
                time.sleep(draw.uniform(0.01, 0.3))
                service.kill()
            if draw.random() < 0.5:
                oracle.check(place, ledger)
        oracle.check(place, ledger)
        return {"kills": CHAIN, "acknowledged": len(ledger.acknowledged)}


@case("kills-recovery", "kill -9 while recovery is at work, several times in a row", small=3, full=1_000)
def recovery(seed):
    draw = random.Random(f"recovery {seed}")
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        with Senders(service, ledger, seed):
            time.sleep(draw.uniform(0.1, 0.5))
            service.kill()
        # Add a torn tail, so that recovery has damage to repair.
        torn = draw.choice([path for path in oracle.day_files(place.home) if path.parts[-3] != "_system"] or [None])
        if torn:
            with open(torn, "ab") as file:
                file.write(b'{"ts":"2026-'[: draw.randint(1, 12)])
        other_boot = draw.random() < 0.5
        for _ in range(draw.randint(1, 5)):
            service = place.service(ready=False, other_boot=other_boot)
            time.sleep(draw.uniform(0, 0.06))
            service.kill()
        oracle.check(place, ledger, other_boot=other_boot)
        return {"acknowledged": len(ledger.acknowledged)}


@case("kills-import", "kill -9 of an import, which goes on when it is run again", small=3, full=1_000)
def importing(seed):
    draw = random.Random(f"import {seed}")
    with Place() as place:
        ledger = Ledger()
        count = draw.choice((50, 2_000, 20_000))
        users = [f"user{n}" for n in range(draw.randint(1, 30))]
        ids = [ledger.offer("import") for _ in range(count)]
        calls = place.folder / "calls.jsonl"
        calls.write_text("".join(f"{line(one, draw.choice(users), 'word ' * draw.randint(0, 60))}\n" for one in ids))
        kills = 0
        while True:
            limit = draw.uniform(0.01, 0.5) if kills < 5 else 60
            done = place.run("import", str(calls), wrap=["timeout", "-s", "KILL", str(limit)], timeout=90)
            # An import that was killed after its last step is complete as well.
            if done.returncode == 0 or (kills and "was imported already" in done.stderr):
                break
            if done.returncode not in (-9, 137):
                raise oracle.Broken(f"import: {done.returncode}: {done.stderr}")
            kills += 1
        ledger.told(200, ids)
        # All lines have the same time, so they must be stored in the order of the imported file.
        oracle.check(place, ledger)
        return {"kills": kills, "acknowledged": count}


@case(
    "ended-in-order",
    "SIGTERM under load: an answer for everybody, exit code 0 within 5 s, an empty journal",
    small=2,
    full=100,
)
def ended_in_order(seed):
    draw = random.Random(f"term {seed}")
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        with Senders(service, ledger, seed, callers=8):
            time.sleep(draw.uniform(0.05, 0.6))
            begun = time.monotonic()
            code = service.stop(within=6)
            took = time.monotonic() - begun
        if code != 0 or took > 5:
            raise oracle.Broken(f"it ended with {code} after {took:.1f} s: {service.log()}")
        # Acknowledged entries must be in the day files without a recovery.
        oracle.check_files(place.home, ledger)
        # Bytes 8 to 23 of a segment hold its writer's id; they are zero in an empty segment.
        for segment in (place.home / ".tooltrail/journal").glob("*.segment"):
            if any(segment.read_bytes()[8:24]):
                raise oracle.Broken(f"{segment.name} is not empty")
        oracle.check(place, ledger)
        return {"acknowledged": len(ledger.acknowledged)}
