"""Tests unexpected journal files: of another home, copies, truncated and empty files, and noise in every slot."""

import random
import shutil
from pathlib import Path

import oracle
from case import case
from ledger import Ledger, post
from place import Broken, Place
from torn import HEADER_BYTES, SEGMENT, journal_end, reopen, template

JOURNAL = Path(".tooltrail/journal")


def foreign(home):
    """Adds the journal of another home."""
    with Place() as other:
        service = other.service()
        post(service, Ledger(), "stranger", ["mallory"])
        service.kill()
        shutil.copy(other.home / SEGMENT, home / JOURNAL / "07.segment")


def twice(home):
    shutil.copy(home / SEGMENT, home / JOURNAL / "03.segment")


def shortened(home):
    """Truncates the segment after its last frame, so that only free space is missing."""
    path = home / SEGMENT
    path.write_bytes(path.read_bytes()[: journal_end(home)])


def nothing(home):
    (home / JOURNAL / "05.segment").write_bytes(b"")


def noise(home):
    (home / JOURNAL / "05.segment").write_bytes(random.Random(7).randbytes(5_000))


def zeros(home):
    (home / JOURNAL / "05.segment").write_bytes(bytes(1 << 20))


def header_alone(home):
    (home / JOURNAL / "05.segment").write_bytes((home / SEGMENT).read_bytes()[:HEADER_BYTES])


def every_slot(home):
    """Fills every slot with noise. Recovery must free the slots, or nothing could be written to a journal any more."""
    for slot in range(1, 16):
        (home / JOURNAL / f"{slot:02}.segment").write_bytes(random.Random(slot).randbytes(3_000))


def folder(home):
    (home / JOURNAL / "01.segment").mkdir()


def link(home):
    (home / JOURNAL / "01.segment").symlink_to("/etc/passwd")


def stranger(home):
    (home / JOURNAL / "notes.txt").write_text("x")


ODD = {
    odd.__name__.replace("_", "-"): odd
    for odd in (foreign, twice, shortened, nothing, noise, zeros, header_alone, every_slot, folder, link, stranger)
}


@case(
    "segments",
    "journals of other homes, copies, halves and noise beside one that is to be recovered",
    small=100,
    full=100,
    seeds=lambda: ODD,
)
def segments(seed):
    home, ledger, day, clean = template()
    with Place() as place:
        place.copy(home)
        # Remove the lines that were not flushed, so that they must be restored from the journal.
        (place.home / day).write_bytes((home / day).read_bytes()[:clean])
        before = oracle.snapshot(place.home)
        ODD[seed](place.home)
        reopen(place)
        stored = oracle.check_files(place.home, ledger)
        oracle.check_kept(place.home, before)
        oracle.check_incidents(place.home, stored)
        if any(found["user"] == "mallory" for _, found in stored):
            raise Broken("entries of another home were taken in")
        if seed == "foreign" and not any(found["tool"] == "tooltrail.incident" for _, found in stored):
            raise Broken("another home's journal, and no incident tells of it")
        oracle.check(place, ledger)
