"""Injects a fault at every system call that touches the home: a kill, one error, or errors from this call on."""

import atexit
import functools
import random
import shutil
import tempfile
import time
from pathlib import Path

import injection
import oracle
from case import case
from ledger import Ledger, post
from place import Place

# The faults, as arguments of strace.
FAULTS = {
    "KILL": "signal=SIGKILL:when={n}",
    "EIO": "error=EIO:when={n}",
    "EIO+": "error=EIO:when={n}+",
    "ENOSPC": "error=ENOSPC:when={n}",
    "ENOSPC+": "error=ENOSPC:when={n}+",
}

# Calls that cannot run out of space, and calls whose failure has no effect on the test.
NEEDS_NO_SPACE = {
    "read",
    "pread64",
    "getdents64",
    "fstat",
    "newfstatat",
    "statx",
    "flock",
    "lseek",
    "unlinkat",
    "fchmod",
}
HARMLESS = {"close", "lseek", "fcntl", "dup", "execve", "mmap", "poll", "epoll_ctl"}


@functools.cache
def template():
    """Returns a home after a kill, with unflushed lines and a torn tail, its ledger, and the date of its day files."""
    folder = Path(tempfile.mkdtemp(prefix="tooltrail-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        for turn in range(3):
            post(service, ledger, "before", ["alice", "bob", "alice"], ["word " * 9] * 3)
            time.sleep(1.2 if turn == 0 else 0)
        service.kill()
        torn = next(path for path in oracle.day_files(place.home) if path.parts[-3] == "bob")
        with open(torn, "ab") as file:
            file.write(b'{"ts":"2026-11-')
        shutil.copytree(place.home, folder / "home")
        shutil.copytree(place.keys, folder / "keys")
    return folder / "home", ledger, torn.stem


def work(place, ledger, wrap):
    """Opens the home and writes to it for a second: to old files and new ones, across a flush and a clean shutdown."""
    service = place.service(wrap=wrap, ready=False)
    end = time.monotonic() + 8
    while service.process.poll() is None and not service.is_ready() and time.monotonic() < end:
        time.sleep(0.02)
    for turn, users in enumerate((["alice", "bob"], ["carol"], ["alice", "carol", "bob"], ["dave"])):
        if service.process.poll() is None:
            post(service, ledger, "during", users, timeout=10)
        if turn == 1:
            time.sleep(1.1)
    if service.process.poll() is None:
        service.stop(within=15)


def ready_place(place):
    home, before, day = template()
    place.copy(home)
    ledger = Ledger()
    ledger.sent, ledger.acknowledged = dict(before.sent), dict(before.acknowledged)
    return ledger, day


def sites():
    """Returns the seeds: every fault at every call on every path."""
    with Place() as place:
        ledger, day = ready_place(place)
        most = injection.survey(place, lambda wrap: work(place, ledger, wrap))
        found = []
        for (syscall, path), count in sorted(most.items()):
            if syscall in HARMLESS or ".probe." in path:
                # The name of a probe file is different in each process.
                continue
            name = path.removeprefix(str(place.home)).lstrip("/").replace(day, "DAY") or "."
            for fault in FAULTS:
                if not (fault.startswith("ENOSPC") and syscall in NEEDS_NO_SPACE):
                    # One more than was counted, because runs differ slightly.
                    found += [f"{fault} {syscall} {name} {n}" for n in range(1, count + 2)]
        return found


@case(
    "syscalls", "killed, EIO and ENOSPC at every system call on a path of the home", small=20, full=100_000, seeds=sites
)
def syscalls(seed):
    fault, syscall, name, n = seed.split(" ")
    with Place() as place:
        ledger, day = ready_place(place)
        path = str(place.home / name.replace("DAY", day)).rstrip("/.")
        boot = random.Random(seed).random() < 0.5
        work(place, ledger, injection.wrap(syscall, FAULTS[fault].format(n=n), path))
        oracle.check(place, ledger, oracle.Allowed(disorder=fault != "KILL"), other_boot=boot and fault == "KILL")
        return {"acknowledged": len(ledger.acknowledged)}
