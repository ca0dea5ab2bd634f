"""Tests what the three durability modes of a toolbox promise for calls when the process is killed or the power is cut.

The modes are tested with a program that uses the toolbox, the example `endless_calls`. It prints on stdout when a tool
runs and when a caller gets an answer.
"""

import os
import random
import select
import subprocess
import time
from pathlib import Path

import disks
import oracle
from case import case
from ledger import Ledger
from place import BINARY, PATIENCE_S, Broken, Place, Skip, in_another_boot

# The number of kills over one home.
CHAIN = 4

EXAMPLE = Path(os.environ.get("TOOLTRAIL_ENDLESS_CALLS") or BINARY.parent / "examples/endless_calls")

# A call is noted within 100 ms of its beginning, and an entry without a waiting caller is written immediately. The rest
# of this time is for a busy machine.
NOTED_S = 0.6


class EndlessCalls:
    """The running example, and the time of each line that it printed."""

    def __init__(self, place, mode, callers, other_boot=False, name="caller"):
        if not EXAMPLE.exists():
            raise Skip("cargo build -p tooltrail-toolbox --example endless_calls")
        wrap = in_another_boot(place.folder) if other_boot else []
        self.process = subprocess.Popen(
            [*wrap, str(EXAMPLE), str(place.home), mode, str(callers), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.said = {"ran": {}, "answered": {}, "withheld": {}, "open": {}}
        self.rest = b""

    def listen(self, until):
        """Reads what it prints until the instant `until` or until it ends."""
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([self.process.stdout], [], [], left)
            if readable:
                part = os.read(self.process.stdout.fileno(), 1 << 16)
                if not part:
                    return
                *lines, self.rest = (self.rest + part).split(b"\n")
                for line in lines:
                    step, _, one = line.decode().partition(" ")
                    self.said[step][one] = time.monotonic()

    def kill(self):
        self.process.kill()
        self.listen(time.monotonic() + PATIENCE_S)
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


def judge(mode, said, ended, power=False):
    """Returns a ledger of the entries that must be stored; other entries may be stored or not, but not twice."""
    ledger = Ledger()
    if mode == "strict":
        promised = [*said["ran"], *said["answered"]]
    elif power or mode == "buffered":
        promised = []
    else:
        promised = [one for one, at in said["ran"].items() if at < ended - NOTED_S]
    ledger.acknowledged = dict.fromkeys(promised, 0.0)
    return ledger


def interrupted(stored, answered):
    """Counts interrupted entries, and checks that no answered call has one."""
    count = 0
    for _, found in stored:
        one = found.get("call_id")
        if found.get("reason") == "interrupted":
            count += 1
            if one in answered:
                raise Broken(f"{one} was answered, and its entry says interrupted")
    return count


@case(
    "durability-kill",
    "kill -9 of calls in each durability mode, again and again over one home",
    small=6,
    full=6_000,
    seeds=lambda: [f"{mode} {n}" for mode in ("buffered", "grouped", "strict") for n in range(2_000)],
)
def kill(seed):
    mode, _ = seed.split()
    draw = random.Random(seed)
    with Place() as place:
        promised, answered, ran = {}, {}, 0
        for turn in range(CHAIN):
            process = EndlessCalls(place, mode, draw.choice((1, 4, 40)), name=f"turn{turn}-")
            process.listen(time.monotonic() + draw.uniform(0.05, 1.2))
            ended = time.monotonic()
            process.kill()
            promised |= judge(mode, process.said, ended).acknowledged
            answered |= process.said["answered"]
            ran += len(process.said["ran"])
        ledger = Ledger()
        ledger.acknowledged = promised
        # Order is promised only for acknowledged entries, and only in strict each caller waits for its acknowledgement.
        stored = oracle.check(place, ledger, oracle.Allowed(disorder=mode != "strict"))
        return {"kills": CHAIN, "ran": ran, "promised": len(promised), "interrupted": interrupted(stored, answered)}


@case(
    "durability-power",
    "a power cut under calls in each durability mode",
    small=3,
    full=300,
    seeds=lambda: [f"{mode} {n}" for mode in ("buffered", "grouped", "strict") for n in range(100)],
)
def power(seed):
    mode, _ = seed.split()
    draw = random.Random(seed)
    with disks.Image("ext4") as disk, Place(disk.path / "home") as place:
        process = EndlessCalls(place, mode, draw.choice((1, 4, 40)), other_boot=True)
        process.listen(time.monotonic() + draw.uniform(0.3, 1.6))
        before = {step: dict(said) for step, said in process.said.items()}
        disk.cut_power()
        process.kill()
        disk.unmount()
        disk.mount()
        ledger = judge(mode, before, time.monotonic(), power=True)
        stored = oracle.check(place, ledger, oracle.Allowed(disorder=True), other_boot=True)
        return {
            "ran": len(process.said["ran"]),
            "promised": len(ledger.acknowledged),
            "interrupted": interrupted(stored, process.said["answered"]),
        }


@case(
    "durability-full",
    "strict calls on a full disk: no tool runs or its answer is withheld, and then all is well",
    small=1,
    full=20,
)
def full(seed):
    with disks.Memory("24m") as disk, Place(disk.path / "home") as place:
        # Many callers, so that the free space in the journal is used up quickly.
        process = EndlessCalls(place, "strict", 200)
        process.listen(time.monotonic() + 0.7)
        filler = disk.fill()
        end = time.monotonic() + PATIENCE_S
        while not process.said["withheld"]:
            if time.monotonic() > end:
                raise Broken("on a full disk no answer is withheld")
            process.listen(time.monotonic() + 0.5)
        withheld = len(process.said["withheld"])
        filler.unlink()
        mark = time.monotonic()
        process.listen(mark + 4)
        again = [one for one, at in process.said["answered"].items() if at > mark + 0.1]
        if not again:
            raise Broken("with room again nothing is answered")
        process.kill()
        ledger = judge("strict", process.said, mark)
        oracle.check(place, ledger, oracle.Allowed(disorder=True))
        return {"ran": len(process.said["ran"]), "withheld": withheld, "answered again": len(again)}
