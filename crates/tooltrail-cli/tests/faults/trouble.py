"""Tests a disk that fails, is full, hangs or is read-only under a running service, and then works again."""

import time
from dataclasses import dataclass

import counts
import injection
import oracle
from case import case
from ledger import Ledger, Senders, post
from place import Broken, Place

WRITES = "write,pwrite64,writev,pwritev"

# Seconds within which the service must recover by itself.
HEALING_S = 8

# Questions that are asked during the fault; the service does not wait for their entries.
READS = 12


@dataclass
class Trouble:
    """A fault of the disk, and what the service must do during it."""

    syscall: str
    what: str
    # Whether no entry is acknowledged and /readyz answers 503.
    refused: bool = True
    # Whether the fault is limited to paths below the home, so that sockets still work.
    home: bool = True
    # The number of callers at the same time.
    callers: int = 2
    # The longest time of a sync, in seconds; 0 if syncs are not delayed.
    sync_s: float = 0


TROUBLES = {
    "sync-fails": Trouble("fdatasync,fsync", "error=EIO"),
    "sync-fails-once": Trouble("fdatasync", "error=EIO:when=1", refused=False),
    "write-fails": Trouble(WRITES, "error=EIO"),
    "full": Trouble(WRITES, "error=ENOSPC"),
    "quota": Trouble(WRITES, "error=EDQUOT"),
    "read-only": Trouble(f"{WRITES},mkdirat,renameat,renameat2,ftruncate", "error=EROFS"),
    "no-descriptors": Trouble("openat", "error=EMFILE", refused=False, home=False),
    "no-locks": Trouble("flock", "error=ENOLCK", refused=False, home=False),
    "sync-slow": Trouble("fdatasync", "delay_enter=300ms", refused=False, home=False, callers=40, sync_s=0.3),
    "sync-hangs": Trouble("fdatasync", "delay_enter=6s:when=1", refused=False, home=False, sync_s=6),
}


def paths(place, service):
    """Returns all paths below the home that are written to, because strace needs complete paths."""
    own = place.home / ".tooltrail"
    later = [*(own / f"journal/{slot:02}.segment" for slot in range(16)), own / f".probe.{service.pid}.new"]
    return sorted({str(path) for path in [place.home, *place.home.rglob("*"), *later]})


@case(
    "trouble",
    "a disk that fails, is full, hangs or is shut under a running service",
    small=100,
    full=100,
    seeds=lambda: TROUBLES,
)
def trouble(seed):
    bad = TROUBLES[seed]
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        # Create every file that is written to later, so that its path is known.
        post(service, ledger, "before", ["alice", "bob"])
        reads = counts.Reads()
        reads.ask(service, 1)
        service.is_ready()
        time.sleep(1.2)
        where = paths(place, service) if bad.home else None
        with Senders(
            service, ledger, seed, callers=bad.callers, users=("alice", "bob"), batch=4, longest=2_000, pause=0.01
        ):
            time.sleep(0.3)
            with injection.Attached(service, bad.syscall, bad.what, where):
                reads.ask(service, READS)
                if service.ask("GET", "/healthz", timeout=1)[0] != 200:
                    raise Broken("the service does not answer at all")
                if bad.refused:
                    refuses(service, ledger)
                if bad.sync_s:
                    waits(service, ledger, bad.sync_s)
            counts.healed(service, HEALING_S, seed)
        if 401 in ledger.statuses:
            raise Broken(f"a valid token was refused as none: {ledger.statuses}")
        status = post(service, ledger, "after", ["alice", "carol"])
        if status != 200:
            raise Broken(f"after it all an entry gets {status}: {service.log()}")
        # The exit code is 2 if entries were lost that no answer reported.
        if service.stop() not in (0, 2):
            raise Broken(f"the service did not end in order: {service.log()}")
        stored = oracle.check(place, ledger, oracle.Allowed(disorder=True))
        told = reads.check(stored, ledger.late)
        return {"acknowledged": len(ledger.acknowledged), **told}


def refuses(service, ledger):
    """Checks that an entry is refused within 5 s, and that /readyz and /metrics show the trouble."""
    begun = time.monotonic()
    status = post(service, ledger, "meanwhile", ["alice", "bob"], timeout=10)
    took = time.monotonic() - begun
    if status != 503 or took > 5:
        raise Broken(f"an entry got {status} after {took:.1f} s")
    if service.ask("GET", "/readyz", timeout=5)[0] != 503:
        raise Broken("/readyz says that all is well")
    if service.metric("tooltrail_writer_in_trouble") != 1:
        raise Broken("/metrics says that all is well")


def waits(service, ledger, sync_s):
    """Checks waiting for a slow sync.

    With a slow disk, callers share syncs. With a disk that hangs, no caller waits long, and /readyz shows the trouble.
    """
    began, was = time.monotonic(), len(ledger.acknowledged)
    if sync_s < 2:
        time.sleep(3)
        rate = (len(ledger.acknowledged) - was) / (time.monotonic() - began)
        if rate < 10 / sync_s:
            raise Broken(f"only {rate:.0f} entries a second were acknowledged while a sync takes {sync_s} s")
        return
    status = post(service, ledger, "meanwhile", ["alice"], timeout=10)
    took = time.monotonic() - began
    if status not in (200, 503) or took > 4:
        raise Broken(f"an entry got {status} after {took:.1f} s")
    if status == 503 and service.ask("GET", "/readyz", timeout=5)[0] != 503:
        raise Broken("a sync hangs, and /readyz says that all is well")
