"""Tests disks without free bytes or inodes, limits of descriptors and file sizes, and read-only or dead disks."""

import os
import random
import resource
import signal
import time
from pathlib import Path

import counts
import disks
import oracle
from case import case
from ledger import Ledger, Senders, post
from place import Broken, Place, wait

# Seconds within which the service must recover by itself.
HEALING_S = 4

# Free bytes: from none, over a line and a block, to more than the first piece of a journal.
LEFT = [0, *(4096 * n for n in (1, 2, 3, 4, 6, 8, 16, 32, 64, 128, 200, 250, 256, 257, 260, 270, 300, 400, 500))]


def fill_levels():
    return [f"{kind} {when} {left}" for kind in ("tmpfs", "ext4") for when in ("running", "starting") for left in LEFT]


@case(
    "full",
    "a disk with so many bytes left, while the service runs or before it starts",
    small=10,
    full=1_000,
    seeds=fill_levels,
)
def full(seed):
    kind, when, left = seed.split()
    disk = disks.Memory("24m") if kind == "tmpfs" else disks.Image("ext4", 24 << 20, ["-m", "0"])
    with disk, Place(disk.path / "home") as place:
        ledger = Ledger()
        service = place.service()
        post(service, ledger, "before", ["alice", "bob"])
        reads = counts.Reads()
        if when == "starting":
            service.kill() if int(left) % 8192 else service.stop()
            filler = fill(disk, int(left))
            service = place.service(ready=False)
        else:
            filler = fill(disk, int(left))
        with Senders(service, ledger, seed.replace(" ", "-"), callers=3, users=("alice", "bob", "own"), batch=20):
            reads.ask(service, 5)
            time.sleep(1.5)
            reads.ask(service, 5)
            if service.ask("GET", "/healthz", timeout=1)[0] != 200:
                raise Broken("the service does not answer at all")
            filler.unlink()
            counts.healed(service, HEALING_S, "there is room again")
        if post(service, ledger, "after", ["alice", "carol"]) != 200:
            raise Broken(f"with room again an entry is refused: {service.log()}")
        # The exit code is 2 if entries were lost that no answer reported.
        if service.stop() not in (0, 2):
            raise Broken(service.log())
        stored = oracle.check(place, ledger, oracle.Allowed(disorder=True))
        return {
            "acknowledged": len(ledger.acknowledged),
            "refused requests": ledger.statuses.get(503, 0),
            **reads.check(stored, ledger.late),
        }


def fill(disk, left):
    """Fills a disk except for `left` bytes; returns the file that fills it."""
    filler = disk.path / "filler"
    with open(filler, "wb") as file:
        stat = os.statvfs(disk.path)
        size = max(stat.f_bavail * stat.f_frsize - left, 4096)
        while size >= 4096:
            try:
                os.posix_fallocate(file.fileno(), 0, size // 4096 * 4096)
                return filler
            except OSError:
                # The file system may need some of its free space for its own metadata.
                size -= 65536
    return filler


@case("no-inodes", "a disk on which no file can be made", small=3, full=40, seeds=lambda: range(40))
def no_inodes(seed):
    with disks.Memory("24m", inodes=200) as disk, Place(disk.path / "home") as place:
        ledger = Ledger()
        service = place.service()
        post(service, ledger, "before", ["alice", "bob"])
        stat = os.statvfs(disk.path)
        fillers = [disk.path / f"filler{n}" for n in range(stat.f_favail - int(seed))]
        for filler in fillers:
            filler.touch()
        # New users may get acknowledgements too, because their lines can wait in the journal.
        told = {post(service, ledger, "new", [f"new{n}"]) for n in range(20)}
        if not told <= {200, 503}:
            raise Broken(f"new users got {told}")
        if service.is_ready() and service.metric("tooltrail_writer_in_trouble") == 0:
            raise Broken("neither /readyz nor /metrics shows that files cannot be made")
        if int(seed) > 1 and post(service, ledger, "old", ["alice", "bob"]) != 200:
            raise Broken(f"whoever has a day file is refused too: {service.log()}")
        for filler in fillers:
            filler.unlink()
        wait(
            lambda: post(service, ledger, "after", ["alice", "new19"]) == 200, HEALING_S, "it does not heal", pause=0.1
        )
        counts.healed(service, HEALING_S, "there are inodes again")
        if service.stop() != 0:
            raise Broken(service.log())
        oracle.check(place, ledger, oracle.Allowed(disorder=True))


@case(
    "few-descriptors",
    "300 users, and only so many files may be open",
    small=3,
    full=40,
    seeds=lambda: [24, 32, 40, 48, 56, *range(64, 280, 8)],
)
def few_descriptors(seed):
    with Place() as place:
        ledger = Ledger()
        service = place.service(wrap=["prlimit", f"--nofile={seed}"], ready=False)
        if int(seed) >= 64:
            service.wait_ready()
        users = [f"user{n}" for n in range(300)]
        statuses = {post(service, ledger, "crowd", users, timeout=10) for _ in range(3)}
        draw = random.Random(seed)
        statuses |= {post(service, ledger, "crowd", draw.sample(users, 7), timeout=10) for _ in range(20)}
        if 401 in statuses:
            raise Broken(f"a valid token was refused as none: {statuses}")
        if int(seed) >= 256 and statuses != {200}:
            raise Broken(f"256 descriptors are enough, but answers were {statuses}: {service.log()}")
        if service.process.poll() is None:
            service.stop(within=10)
        oracle.check(place, ledger, oracle.Allowed(disorder=True))
        return {f"answers {status}": 1 for status in statuses}


@case(
    "short-writes",
    "no file may grow beyond a length: writes end in the middle, with an error or with the process",
    small=8,
    full=1_000,
    seeds=lambda: [
        f"{end} {size}"
        for end in ("error", "death")
        for size in [*range(0, 4_200, 41), 8_192, 70_000, 600_000, 1_048_576, 1_100_000]
    ],
)
def short_writes(seed):
    end, size = seed.split()
    with Place() as place:
        ledger = Ledger()
        # Create the other files of the home before the limit is set.
        place.service().stop()

        def confine():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if end == "error" else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))

        service = place.service(ready=False, preexec_fn=confine)
        for n in range(12):
            post(
                service,
                ledger,
                "short",
                ["alice", "bob", "alice"],
                ["word " * draw for draw in (n * 7, 3, n * 150)],
                timeout=6,
            )
            if service.process.poll() is not None:
                break
        service.kill() if int(size) % 2 else service.process.poll() is None and service.stop(within=10)
        oracle.check(place, ledger, oracle.Allowed(disorder=True))
        return {"acknowledged": len(ledger.acknowledged)}


@case("starts-shut", "a service that starts on a read-only disk is ready once it can be written", small=1, full=3)
def starts_shut(seed):
    with disks.Image("ext4") as disk, Place(disk.path / "home") as place:
        ledger = Ledger()
        service = place.service()
        with Senders(service, ledger, seed):
            time.sleep(0.3)
            service.kill()
        disks.run("mount", "-o", "remount,ro", str(disk.path))
        service = place.service(ready=False)
        for _ in range(5):
            if service.ask("GET", "/healthz")[0] != 200 or service.is_ready():
                raise Broken(f"read-only, and the service is ready or gone: {service.log()}")
            if post(service, ledger, "shut", ["alice"]) != 503:
                raise Broken("read-only, and an entry is not refused with 503")
            time.sleep(0.2)
        disks.run("mount", "-o", "remount,rw", str(disk.path))
        service.wait_ready(HEALING_S)
        if service.stop() != 0:
            raise Broken(service.log())
        oracle.check(place, ledger)


@case(
    "dead-disk",
    "the disk is gone for good under a running service",
    small=2,
    full=20,
    seeds=lambda: [f"{kind} {n}" for kind in ("ext4", "xfs") for n in range(10)],
)
def dead_disk(seed):
    kind, _ = seed.split()
    with disks.Image(kind) as disk, Place(disk.path / "home") as place:
        ledger = Ledger()
        service = place.service(other_boot=True)
        with Senders(service, ledger, seed.replace(" ", "-"), users=("alice", "own")):
            time.sleep(0.5)
            began = time.monotonic()
            disk.cut_power()
            time.sleep(0.2)
            ledger.forget(set(ledger.acknowledged) - ledger.before(began))
            was = memory(service)
            wait(lambda: service.ask("GET", "/readyz")[0] == 503, 1, "/readyz says that all is well")
            end = time.monotonic() + 4
            while time.monotonic() < end:
                begun = time.monotonic()
                status = post(service, ledger, "dead", ["alice", "bob"])
                if status != 503 or time.monotonic() - begun > 4:
                    raise Broken(f"an entry got {status} after {time.monotonic() - begun:.1f} s")
                if service.ask("GET", "/healthz", timeout=1)[0] != 200:
                    raise Broken("the service does not answer at all")
                time.sleep(0.05)
            grown = memory(service) - was
            if grown > 64 << 20:
                raise Broken(f"it grew by {grown >> 20} MiB")
            service.kill()
        disk.unmount()
        disk.mount()
        oracle.check(place, ledger, other_boot=True)
        return {"acknowledged": len(ledger.acknowledged)}


def memory(service):
    """Returns the resident memory of the service's process, in bytes."""
    return int(Path(f"/proc/{service.pid}/statm").read_text().split()[1]) * resource.getpagesize()
