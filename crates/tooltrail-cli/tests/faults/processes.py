"""Tests several processes over one home: at the same time, some of them killed, some stopped while they hold a lock."""

import fcntl
import os
import random
import signal
import subprocess
import time
from collections import Counter

import injection
import oracle
from case import case
from ledger import Ledger, Senders, line, post
from place import Broken, Place, wait

# Seconds after which a process that waits for a lock must have answered.
LOCK_S = 4


def importer(place, ledger, name, draw, count, users, longest=9_000):
    """Starts an import; returns it and its ids."""
    ids = [ledger.offer(name) for _ in range(count)]
    calls = place.folder / f"{name}.jsonl"
    calls.write_text(
        "".join(
            f"{line(one, draw.choice(users), 'word ' * draw.choice((0, 9, draw.randint(0, longest // 5))))}\n"
            for one in ids
        )
    )
    return subprocess.Popen(
        place.command("import", str(calls)), env=place.environment(), stderr=subprocess.PIPE, text=True
    ), ids


@case("processes", "two services and several imports write the same files at once; some are killed", small=3, full=300)
def processes(seed):
    draw = random.Random(f"processes {seed}")
    with Place() as place:
        ledger = Ledger()
        services = [place.service() for _ in range(2)]
        users = ["shared", *(f"user{n}" for n in range(3))]
        with Senders(services[0], ledger, "a", users=users), Senders(services[1], ledger, "b", users=users):
            imports = [
                importer(place, ledger, f"import{n}", draw, draw.randint(50, 800), users)
                for n in range(draw.choice((2, 6)))
            ]
            time.sleep(draw.uniform(0.1, 0.5))
            services[0].kill()
            if draw.random() < 0.5:
                imports[0][0].kill()
            third = place.service()
            post(third, ledger, "c", users)
            for process, ids in imports:
                _, told = process.communicate(timeout=60)
                if process.returncode == 0:
                    ledger.told(200, ids)
                elif process.returncode != -9:
                    raise Broken(f"an import ended with {process.returncode}: {told}")
        for service in (services[1], third):
            if service.stop() != 0:
                raise Broken(service.log())
        oracle.check(place, ledger)
        return {"acknowledged": len(ledger.acknowledged)}


@case("many-lines", "8 processes write lines of all sizes to one file: none is cut by another", small=1, full=20)
def many_lines(seed):
    draw = random.Random(f"many {seed}")
    with Place() as place:
        ledger = Ledger()
        imports = [importer(place, ledger, f"import{n}", draw, 600, ["one"], longest=60_000) for n in range(8)]
        for process, ids in imports:
            _, told = process.communicate(timeout=120)
            if process.returncode != 0:
                raise Broken(f"an import ended with {process.returncode}: {told}")
            ledger.told(200, ids)
        oracle.check(place, ledger)
        return {"acknowledged": len(ledger.acknowledged)}


@case("first-at-once", "processes begin a home, a user and a day at the same moment", small=3, full=1_000)
def first_at_once(seed):
    draw = random.Random(f"first {seed}")
    with Place() as place:
        ledger = Ledger()
        imports = [importer(place, ledger, f"import{n}", draw, 3, ["new", f"new{n}"]) for n in range(5)]
        for process, ids in imports:
            _, told = process.communicate(timeout=60)
            if process.returncode != 0:
                raise Broken(f"an import ended with {process.returncode}: {told}")
            ledger.told(200, ids)
        for path in place.home.rglob("*"):
            if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600):
                raise Broken(f"{path} has mode {path.stat().st_mode & 0o777:o}")
        oracle.check(place, ledger)


def goes_on(process):
    """Lets a stopped process go on, and returns whether it has ended."""
    process.send_signal(signal.SIGCONT)
    return process.poll() is not None


@case("stopped-with-lock", "a process that was stopped while it held the append lock", small=2, full=50)
def stopped_with_lock(seed):
    draw = random.Random(f"stopped {seed}")
    with Place() as place:
        ledger = Ledger()
        service = place.service()
        post(service, ledger, "first", ["alice"])
        ids = [ledger.offer("stopped")]
        calls = place.folder / "stopped.jsonl"
        calls.write_text(line(ids[0], "alice") + "\n")
        lock = str(place.home / ".tooltrail/append.lock")
        wrap = injection.wrap("flock", "signal=SIGSTOP:when=1", lock)
        stopped = subprocess.Popen(
            [*wrap, *place.command("import", str(calls))], env=place.environment(), stderr=subprocess.DEVNULL
        )
        try:
            wait(lambda: is_held(lock), 10, "no process stopped with the lock", stopped)
            begun = time.monotonic()
            status = post(service, ledger, "meanwhile", ["alice", "bob"])
            took = time.monotonic() - begun
            if status not in (200, 503) or took > LOCK_S:
                raise Broken(f"an entry got {status} after {took:.1f} s")
            wait(lambda: not service.is_ready(), LOCK_S, "/readyz says that all is well")
            time.sleep(draw.uniform(0, 1))
            if draw.random() < 0.5:
                # strace counts for each thread, and the thread that seals takes the lock too: each of them is stopped.
                wait(lambda: goes_on(stopped), 20, "it does not end")
                if stopped.returncode == 0:
                    ledger.told(200, ids)
            else:
                stopped.kill()
            begun = time.monotonic()
            wait(
                lambda: service.is_ready() and post(service, ledger, "after", ["alice", "bob"]) == 200,
                LOCK_S,
                "it does not heal",
            )
            healed = time.monotonic() - begun
        finally:
            if stopped.poll() is None:
                stopped.kill()
            stopped.wait()
        if service.stop() != 0:
            raise Broken(service.log())
        oracle.check(place, ledger, oracle.Allowed(disorder=True))
        return Counter({f"acknowledged meanwhile ({status})": 2 * (status == 200), "ms to heal": round(healed * 1000)})


@case(
    "looked-at-slots",
    "a cut import goes on while others look at every journal again and again: nothing is stored twice",
    small=3,
    full=100,
)
def looked_at_slots(seed):
    draw = random.Random(f"slots {seed}")
    with Place() as place:
        ledger = Ledger()
        ids = [ledger.offer("import") for _ in range(3_000)]
        calls = place.folder / "calls.jsonl"
        calls.write_text("".join(f"{line(one, draw.choice(('a', 'b')), 'word ' * 20)}\n" for one in ids))
        lookers = []
        one = place.folder / "one.jsonl"
        one.write_text(line("looker.1", "looker") + "\n")
        kills = 0
        while True:
            lookers = [process for process in lookers if process.poll() is None]
            while len(lookers) < 3:
                # Each of these opens the home, reads all journals, and closes it.
                command = place.command("import", "--again", str(one))
                lookers.append(subprocess.Popen(command, env=place.environment(), stderr=subprocess.DEVNULL))
            limit = draw.uniform(0.02, 0.4) if kills < 6 else 60
            done = place.run("import", str(calls), wrap=["timeout", "-s", "KILL", str(limit)], timeout=90)
            if done.returncode == 0 or (kills and "was imported already" in done.stderr):
                break
            if done.returncode not in (-9, 137) and "cannot be settled yet" not in done.stderr:
                raise Broken(f"import: {done.returncode}: {done.stderr}")
            kills += 1
        for process in lookers:
            process.wait(60)
        ledger.told(200, ids)
        found = Counter(
            stored["call_id"] for _, stored in oracle.entries(place.home) if stored["call_id"] != "looker.1"
        )
        twice = [one for one, count in found.items() if count > 1]
        missing = [one for one in ids if one not in found]
        if twice or missing:
            raise Broken(f"stored more than once: {len(twice)}, missing: {len(missing)}")
        return {"kills": kills, "acknowledged": len(ids)}


def is_held(lock):
    """Returns whether another process holds a lock for at least 0.3 s without a break."""
    for _ in range(10):
        file = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            time.sleep(0.03)
        finally:
            os.close(file)
    return True
