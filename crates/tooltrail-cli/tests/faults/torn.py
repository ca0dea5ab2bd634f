"""Tests damage at each byte: torn ends of day files and of the journal, and every flipped bit of a small journal."""

import atexit
import functools
import random
import shutil
import tempfile
import time
from pathlib import Path

import oracle
from case import case
from ledger import Ledger, line, post
from place import Broken, Place, in_another_boot

FILLS = ("cut", "nul", "ff", "random")
SEGMENT = Path(".tooltrail/journal/00.segment")

# The length of a segment's header; the first frame begins after it.
HEADER_BYTES = 512


@functools.cache
def template():
    """Makes a home that was killed while entries were in the journal and in a day file, but not flushed there.

    Returns the home, the ledger, the day file, and the day file's length at its last flush.
    """
    folder = Path(tempfile.mkdtemp(prefix="tooltrail-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        post(service, ledger, "flushed", ["alice"] * 3)
        # A flush happens within a second, and the next frames in the journal hold the flushed length.
        time.sleep(1.5)
        day = next(path for path in oracle.day_files(place.home) if path.parts[-3] == "alice").relative_to(place.home)
        clean = (place.home / day).stat().st_size
        for _ in range(3):
            post(service, ledger, "unflushed", ["alice"])
        service.kill()
        shutil.copytree(place.home, folder / "home")
    return folder / "home", ledger, day, clean


def journal_end(home):
    """Returns where the frames of the journal end."""
    if not (home / SEGMENT).exists():
        raise Broken("the journal of a killed service is empty: nothing can be damaged")
    return len((home / SEGMENT).read_bytes().rstrip(b"\0"))


def damage(path, at, end, fill, seed):
    """Destroys the bytes of a file from offset `at` to offset `end`."""
    whole = path.read_bytes()
    size = end - at
    instead = {"cut": b"", "nul": bytes(size), "ff": b"\xff" * size, "random": random.Random(seed).randbytes(size)}[
        fill
    ]
    path.write_bytes(whole[:at] + instead + (b"" if fill == "cut" else whole[end:]))


def reopen(place, words=("import", "-")):
    """Opens and closes the home with a short command that writes, in a simulated new boot."""
    done = place.run(*words, stdin=f"{line('opener.1', 'opener')}\n", wrap=in_another_boot(place.folder))
    if done.returncode != 0:
        raise Broken(f"the home does not open: {done.returncode}: {done.stderr}")


def judge(place, ledger, allowed=oracle.NOTHING):
    """Checks only the files with the oracle, without a service."""
    before = oracle.snapshot(place.home)
    reopen(place)
    stored = oracle.check_files(place.home, ledger, allowed)
    oracle.check_kept(place.home, before)
    oracle.check_incidents(place.home, stored)
    return stored


def day_places():
    home, _, day, clean = template()
    return [f"{fill} {at}" for fill in FILLS for at in range(clean, (home / day).stat().st_size + 1)]


@case(
    "torn-day-file",
    "a day file torn at every byte behind its flushed length, filled up in four ways",
    small=24,
    full=100_000,
    seeds=day_places,
)
def torn_day_file(seed):
    fill, at = seed.split()
    home, ledger, day, _ = template()
    with Place() as place:
        place.copy(home)
        path = place.home / day
        damage(path, int(at), path.stat().st_size, fill, seed)
        judge(place, ledger)


def journal_places():
    home, _, _, _ = template()
    return [f"{fill} {at}" for fill in FILLS for at in range(HEADER_BYTES, journal_end(home) + 1)]


@case(
    "torn-journal",
    "the journal torn at every byte, filled up in four ways; the day file has what it held",
    small=24,
    full=100_000,
    seeds=journal_places,
)
def torn_journal(seed):
    fill, at = seed.split()
    home, ledger, _, _ = template()
    with Place() as place:
        place.copy(home)
        damage(place.home / SEGMENT, int(at), journal_end(place.home), fill, seed)
        judge(place, ledger)


def bits():
    home, _, _, _ = template()
    end = journal_end(home)
    return [f"{byte}.{bit}" for byte in range(end) for bit in range(8)]


@case(
    "flipped-bit",
    "every single bit of a small journal flipped, with the day file cut back to its last flush",
    small=40,
    full=1_000_000,
    seeds=bits,
)
def flipped_bit(seed):
    byte, bit = (int(part) for part in seed.split("."))
    home, before, day, clean = template()
    with Place() as place:
        place.copy(home)
        segment = place.home / SEGMENT
        whole = bytearray(segment.read_bytes())
        whole[byte] ^= 1 << bit
        segment.write_bytes(whole)
        (place.home / day).write_bytes((home / day).read_bytes()[:clean])
        ledger = Ledger()
        ledger.acknowledged = dict(before.acknowledged)
        unflushed = [one for one in before.acknowledged if one.startswith("unflushed.")]
        stored = judge(place, ledger, oracle.Allowed(missing=set(unflushed)))
        there = {found.get("call_id") for _, found in stored}
        missing = [one for one in unflushed if one not in there]
        if len(missing) > 1 and byte >= HEADER_BYTES:
            raise Broken(f"one flipped bit lost {missing}")
        # A flipped bit in the last frame cannot be distinguished from a frame that was torn before its acknowledgement.
        if missing and (byte < HEADER_BYTES or missing != unflushed[-1:]):
            # A lost entry must be kept in a fragment, and an incident must record it.
            kept = b"".join(path.read_bytes() for path in (place.home / ".tooltrail/fragments").glob("journal.*"))
            if not all(f'"{one}"'.encode() in kept for one in missing if not hit(byte, whole, one)):
                raise Broken(f"{missing} are lost and not kept")
            if not any(
                found["tool"] == "tooltrail.incident" and found["args"]["what"] == "damaged journal"
                for _, found in stored
            ):
                raise Broken(f"{missing} are lost and no incident tells of it")
        return {"lost and told": len(missing)}


def hit(byte, whole, one):
    """Returns whether the flipped bit is in the id `one` or close to it."""
    return f'"{one}"'.encode() not in bytes(whole) or abs(bytes(whole).find(f'"{one}"'.encode()) - byte) < 16
