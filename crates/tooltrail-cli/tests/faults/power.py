"""Cuts the power under the service, on ext4 and XFS, while syncs of another file bring parts of its data to disk."""

import os
import random
import subprocess
import threading
import time

import disks
import oracle
from case import case
from ledger import Ledger, Senders, line
from place import PATIENCE_S, Broken, Place, in_another_boot

# The number of power cuts of one file system.
CHAIN = 2


class Neighbour:
    """Syncs its own file all the time, so that the disk has new sizes of other files before it has their bytes."""

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
            # Entries that were acknowledged during the power cut may have been synced before it or not.
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


@case("power-import", "the power is cut during an import, which goes on when it is run again", small=3, full=300)
def importing(seed):
    draw = random.Random(f"import {seed}")
    with disks.Image("ext4") as disk, Place(disk.path / "home") as place:
        ledger = Ledger()
        ids = [ledger.offer("import") for _ in range(draw.choice((200, 5_000, 20_000)))]
        users = [f"user{n}" for n in range(draw.randint(1, 20))]
        calls = place.folder / "calls.jsonl"
        calls.write_text("".join(f"{line(one, draw.choice(users), 'word ' * draw.randint(0, 60))}\n" for one in ids))
        cuts = 0
        for limit in (*(draw.uniform(0.01, 0.8) for _ in range(2)), PATIENCE_S * 3):
            words = [*in_another_boot(place.folder), *place.command("import", str(calls))]
            process = subprocess.Popen(words, env=place.environment(), stderr=subprocess.PIPE, text=True)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            # Cut the power even if the import is complete: what it reported as durable must be durable.
            disk.cut_power()
            process.kill()
            process.wait()
            disk.unmount()
            disk.mount()
            cuts += 1
            if code is not None:
                break
        # An import that was ended after its last step is complete as well.
        if code != 0 and not (cuts > 1 and "was imported already" in process.stderr.read()):
            raise Broken(f"the import ended with {code}")
        ledger.told(200, ids)
        oracle.check(place, ledger, other_boot=True)
        return {"cuts": cuts, "acknowledged": len(ids)}
