"""The power is cut under the service, on ext4 and on XFS, while a neighbour's syncs hurry half of it to the disk."""

import os
import random
import threading
import time

import disks
import oracle
from case import case
from ledger import Ledger, Senders
from place import Place

# Cuts of one file system.
CHAIN = 2


class Neighbour:
    """Syncs a file of its own all the time: its commits bring sizes to the disk whose bytes are not there yet."""

    def __init__(self, folder):
        self.going, self.path = True, folder / "neighbour"
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        try:
            file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            try:
                while self.going:
                    os.write(file, b"x")
                    os.fsync(file)
                    time.sleep(0.001)
            finally:
                os.close(file)
        except OSError:
            pass

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


def cuts(kind, seed):
    draw = random.Random(f"{kind} {seed}")
    with disks.Image(kind) as disk, Place(disk.path / "home") as place:
        ledger, tails = Ledger(), 0
        users = ["shared", "own", *(f"user{n}" for n in range(draw.choice((0, 18))))]
        for turn in range(CHAIN):
            service = place.service(other_boot=True)
            with Neighbour(disk.path), Senders(service, ledger, f"{seed}-{turn}", users=users):
                time.sleep(draw.uniform(0.05, 1.5))
                began = time.monotonic()
                disk.cut_power()
                service.kill()
            # What was answered while the power went may have been synced before or not.
            ledger.forget(set(ledger.acknowledged) - ledger.before(began))
            disk.unmount()
            disk.mount()
            tails += sum(b"\0" in was or not was.endswith(b"\n") for was in oracle.snapshot(place.home).values())
            if turn + 1 == CHAIN or draw.random() < 0.5:
                oracle.check(place, ledger, other_boot=True)
        return {"cuts": CHAIN, "torn or NUL files": tails, "acknowledged": len(ledger.acknowledged)}


@case("power-ext4", "power cuts on ext4", small=3, full=500)
def ext4(seed):
    return cuts("ext4", seed)


@case("power-xfs", "power cuts on XFS", small=2, full=500)
def xfs(seed):
    return cuts("xfs", seed)
