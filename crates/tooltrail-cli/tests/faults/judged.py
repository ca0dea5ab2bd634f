"""Tests the oracle itself: it must reject a home with any of the faults that it checks for."""

import json
import os
import shutil

import oracle
from case import case
from ledger import Ledger, post
from place import Broken, Place


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def drop(path):
    path.write_bytes(b"".join(lines(path)[1:]))


def double(path):
    path.write_bytes(b"".join([*lines(path), lines(path)[0]]))


def swap(path):
    path.write_bytes(b"".join(reversed(lines(path))))


def tear(path):
    first, *rest = lines(path)
    path.write_bytes(first[:-20] + b"".join(rest))


def nul(path):
    path.write_bytes(b"\0" * 40 + b"\n" + path.read_bytes())


def other_day(path):
    path.rename(path.with_name("2020-02-02.jsonl"))


def other_user(path):
    shutil.move(path.parents[1], path.parents[2] / "mallory")


def stranger(path):
    path.with_name("notes.txt").write_text("x")


def other_shape(path):
    first, *rest = lines(path)
    found = json.loads(first)
    found["result_chars"] = "0"
    path.write_bytes(json.dumps(found).encode() + b"\n" + b"".join(rest))


def fragment(path):
    folder = path.parents[2] / ".tooltrail/fragments"
    os.makedirs(folder, exist_ok=True)
    (folder / f"{path.stem}.7.alice").write_bytes(b"bytes of which no incident tells")


WRONG = {
    wrong.__name__.replace("_", "-"): wrong
    for wrong in (drop, double, swap, tear, nul, other_day, other_user, stranger, other_shape, fragment)
}


@case("oracle", "a home that is wrong does not pass", small=100, full=100, seeds=lambda: WRONG)
def judged(seed):
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        for _ in range(4):
            post(service, ledger, "caller", ["alice"])
        service.stop()
        oracle.check(place, ledger)
        WRONG[seed](next(path for path in oracle.day_files(place.home) if path.parts[-3] == "alice"))
        try:
            oracle.check(place, ledger)
        except Broken:
            return
        raise Broken("the oracle did not see it")


@case(
    "oracle-cut",
    "bytes of a day file that are gone without a fragment do not pass",
    small=1,
    full=1,
    seeds=lambda: ["tail"],
)
def cut(_):
    with Place() as place:
        service = place.service()
        post(service, Ledger(), "caller", ["alice"] * 3)
        service.stop()
        path = next(path for path in oracle.day_files(place.home) if path.parts[-3] == "alice")
        before = oracle.snapshot(place.home)
        path.write_bytes(b"".join(lines(path)[:-1]))
        try:
            oracle.check_kept(place.home, before)
        except Broken:
            return
        raise Broken("the oracle did not see it")
