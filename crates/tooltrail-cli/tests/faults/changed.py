"""Changes files under a running service: removed, truncated, replaced, made unreadable, or written by others."""

import os
import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Callable

import disks
import oracle
from case import case
from ledger import Ledger, Senders, post
from place import Broken, Place, Skip, wait

# The owner of the home if the service must not run as root.
NOBODY = 65534

# Seconds within which the service must recover by itself.
HEALING_S = 4


@dataclass
class Change:
    """A change of alice's day file, how it is undone, and what the service must do in between."""

    do: Callable
    # None if nothing must be undone.
    undo: Callable = None
    # Whether alice's entries are refused until the change is undone.
    refused: bool = False
    # Whether the trail must have an incident or a gap for it.
    told: bool = True
    # Whether the change may remove acknowledged entries.
    takes: bool = False
    # The number of foreign lines that stay in the file.
    junk: int = 0
    # Whether the service must run as a user without root's rights.
    unprivileged: bool = False


def aside(day):
    return day.parents[2].parent / "aside"


def replace(day):
    shutil.copy2(day, day.with_name("copy"))
    os.rename(day.with_name("copy"), day)


def append(day, junk):
    with open(day, "ab") as file:
        file.write(junk)


def attribute(flag):
    def change(day):
        if subprocess.run(["chattr", flag, str(day)], capture_output=True).returncode != 0:
            raise Skip("chattr does not work here")

    return change


def instead(make):
    """Returns a change that replaces the file with something else of the same name."""

    def change(day):
        if make is os.mkdir:
            os.rename(day, aside(day))
            make(day)
            return
        # Replace in one step, because the service would otherwise create the file again in between.
        beside = day.with_name("beside")
        make(beside)
        os.link(day, aside(day))
        os.replace(beside, day)

    return change


def back(day):
    """Moves the file back to its name."""
    os.rmdir(day) if day.is_dir() and not day.is_symlink() else day.unlink()
    os.rename(aside(day), day)


def mount_over(day):
    """Mounts another folder over the home."""
    disks.needs_root()
    aside(day).mkdir()
    disks.run("mount", "--bind", str(aside(day)), str(day.parents[2]))


def link_away(day):
    day.symlink_to(aside(day))


CHANGES = {
    "removed": Change(os.unlink, takes=True),
    "renamed": Change(lambda day: os.rename(day, aside(day)), takes=True),
    "replaced": Change(replace, takes=True),
    "emptied": Change(lambda day: os.truncate(day, 0), takes=True),
    "cut-short": Change(lambda day: os.truncate(day, max(day.stat().st_size - 100, 0)), takes=True),
    "folder-removed": Change(lambda day: shutil.rmtree(day.parents[1]), takes=True),
    "foreign-line": Change(lambda day: append(day, b"somebody's line\n"), told=False, junk=1),
    "foreign-piece": Change(lambda day: append(day, b"somebody's piece")),
    "hard-linked": Change(lambda day: os.link(day, aside(day)), lambda day: aside(day).unlink(), refused=True),
    "symlinked": Change(instead(link_away), back, refused=True),
    "fifo": Change(instead(os.mkfifo), back, refused=True),
    "folder-instead": Change(instead(os.mkdir), back, refused=True),
    "mounted-over": Change(mount_over, lambda day: disks.run("umount", str(day.parents[2])), told=False),
    "append-only": Change(attribute("+a"), attribute("-a"), told=False),
    "immutable": Change(attribute("+i"), attribute("-i"), told=False),
    "shut": Change(
        lambda day: os.chmod(day.parents[1], 0),
        lambda day: os.chmod(day.parents[1], 0o700),
        told=False,
        unprivileged=True,
    ),
}


@case(
    "changed",
    "files taken away, cut, replaced or shut under a running service",
    small=100,
    full=100,
    seeds=lambda: CHANGES,
)
def changed(seed):
    change = CHANGES[seed]
    with Place() as place:
        ledger, allowed = (
            Ledger(),
            oracle.Allowed(changed=change.takes, junk=change.junk, disorder=change.undo is not None),
        )
        wrap = []
        if change.unprivileged:
            for path in [place.folder, *place.folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
            wrap = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        service = place.service(wrap=wrap)
        post(service, ledger, "first", ["alice", "bob"])
        day = next(path for path in oracle.day_files(place.home) if path.parts[-3] == "alice")
        with Senders(service, ledger, seed, callers=2, users=("alice", "bob"), batch=4, longest=2_000, pause=0.002):
            time.sleep(random.Random(seed).uniform(0.2, 1.4))
            change.do(day)
            done = time.monotonic()
            time.sleep(0.3)
        if change.takes:
            # Entries that were acknowledged by now may have been in the removed part.
            allowed.missing = ledger.before(done + 0.05)
        try:
            if change.refused:
                refuses(service, ledger)
        finally:
            if change.undo:
                change.undo(day)
        heals(service, ledger)
        service.stop()
        stored = oracle.check(place, ledger, allowed, wrap=wrap)
        if change.told and not any(found["tool"] in ("tooltrail.incident", "tooltrail.gap") for _, found in stored):
            raise Broken("neither an incident nor a gap tells of it")
        return {"acknowledged": len(ledger.acknowledged), "could be missing": len(allowed.missing)}


@case(
    "foreign-pieces",
    "a foreign writer appends its lines in pieces, some slowly: no line of either is lost, and nobody waits",
    small=2,
    full=50,
)
def foreign_pieces(seed):
    draw = random.Random(f"pieces {seed}")
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        post(service, ledger, "first", ["alice", "bob"])
        day = next(path for path in oracle.day_files(place.home) if path.parts[-3] == "alice")
        script = (
            "import random, sys, time\n"
            "draw, begun, n = random.Random(sys.argv[2]), time.monotonic(), 0\n"
            "with open(sys.argv[1], 'ab', buffering=0) as file:\n"
            "    while time.monotonic() - begun < 2:\n"
            "        for part in (b'foreign ', str(n).encode(), b' line\\n'):\n"
            "            file.write(part)\n"
            "            time.sleep(draw.choice((0, 0, 0.0005, 0.03)))\n"
            "        n += 1\n"
            "print(n)\n"
        )
        foreign = subprocess.Popen(["python3", "-c", script, str(day), str(seed)], stdout=subprocess.PIPE, text=True)
        slowest = 0
        with Senders(service, ledger, seed, callers=3, users=("alice",), batch=2, longest=1_000, pause=0.002):
            while foreign.poll() is None:
                begun = time.monotonic()
                post(service, ledger, "beside", ["bob"])
                slowest = max(slowest, time.monotonic() - begun)
                time.sleep(draw.uniform(0, 0.02))
        written = int(foreign.stdout.read())
        if slowest > 0.9:
            raise Broken(f"bob's entry waited {slowest:.2f} s for alice's file")
        if service.stop() != 0:
            raise Broken(service.log())
        # A foreign piece and one of our batches may form a joined line, which is not an entry.
        oracle.check(place, ledger, oracle.Allowed(junk=3 * written, disorder=True))
        return {"acknowledged": len(ledger.acknowledged), "foreign lines": written}


def refuses(service, ledger):
    """Checks that alice's entries are refused and counted, bob's are accepted, and /readyz or /metrics shows it."""
    was = service.metric("tooltrail_refused_entries_total")
    status = post(service, ledger, "meanwhile", ["alice"])
    if status != 503:
        raise Broken(f"alice's entry got {status}")
    if service.is_ready() and service.metric("tooltrail_writer_in_trouble") == 0:
        raise Broken("neither /readyz nor /metrics shows that alice's file cannot be written")
    status = post(service, ledger, "meanwhile", ["bob", "alice", "bob", "alice"])
    if status != 207:
        raise Broken(f"bob's entries, sent with alice's, got {status}")
    refused = service.metric("tooltrail_refused_entries_total") - was
    if refused != 3:
        raise Broken(f"3 entries were refused, but {refused:.0f} counted")


def heals(service, ledger):
    """Waits until the service works again without help."""

    def is_well():
        return (
            post(service, ledger, "after", ["alice", "bob"]) == 200
            and service.is_ready()
            and service.metric("tooltrail_writer_in_trouble") == 0
        )

    wait(is_well, HEALING_S, lambda: f"it does not heal: {ledger.statuses} {service.log()}", pause=0.1)
