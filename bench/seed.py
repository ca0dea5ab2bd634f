"""The seed: how a Python orchestrator records and reads calls without tooltrail, rewritten to be measured.

    seed.py write CALLS COUNT HOME     calls per second: a task per call, a file opened and closed per call
    seed.py block CALLS COUNT HOME     microseconds for which one record keeps the event loop busy
    seed.py recent HOME USER LIMIT     milliseconds of the newest entries of one user
    seed.py everybody HOME LIMIT       milliseconds of the newest entries of all users

Each prints one JSON object.
"""

import asyncio
import datetime
import json
import pathlib
import resource
import sys
import time

ARG_CHARS = 500
SNIPPET_CHARS = 300
IN_FLIGHT = 64


class Seed:
    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.locks = {}

    async def record(self, user, tool, args, status, result=""):
        now = datetime.datetime.now()
        entry = {
            "ts": now.isoformat(timespec="seconds"),
            "user": user,
            "tool": tool,
            "args": {key: clipped(value) for key, value in args.items()},
            "status": status,
            "result_chars": len(result),
            "result_snippet": result[:SNIPPET_CHARS],
        }
        folder = self.home / user / "tool_audit"
        path = folder / f"{now:%Y-%m-%d}.jsonl"
        lock = self.locks.setdefault(str(path), asyncio.Lock())
        async with lock:
            folder.mkdir(parents=True, exist_ok=True)
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def read_recent(self, user, days=7, limit=200):
        found = []
        today = datetime.date.today()
        for back in range(days):
            path = self.home / user / "tool_audit" / f"{today - datetime.timedelta(days=back)}.jsonl"
            if not path.exists():
                continue
            entries = []
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entries.append(json.loads(line))
                except ValueError:
                    continue
            for entry in reversed(entries):
                found.append(entry)
                if len(found) >= limit:
                    return found
        return found

    def read_recent_all_users(self, days=7, limit=500):
        found = []
        for folder in self.home.iterdir():
            if (folder / "tool_audit").is_dir():
                found.extend(self.read_recent(folder.name, days, limit))
        found.sort(key=lambda entry: entry.get("ts", ""), reverse=True)
        return found[:limit]


def clipped(value):
    if isinstance(value, str) and len(value) > ARG_CHARS:
        return f"{value[:ARG_CHARS]} …[{len(value)} chars total]"
    return value


def calls(path, count):
    with open(path, encoding="utf-8") as file:
        for _, line in zip(range(count), file):
            call = json.loads(line)
            yield call["user"], call["tool"], call["args"], call["status"], call["result"]


async def write(seed, made):
    # The day files exist before the measurement, as for all other programs.
    for call in {call[0]: call for call in made}.values():
        await seed.record(*call)
    start, busy = time.perf_counter(), time.process_time()
    for at in range(0, len(made), IN_FLIGHT):
        tasks = [asyncio.create_task(seed.record(*call)) for call in made[at : at + IN_FLIGHT]]
        await asyncio.gather(*tasks)
    seconds = time.perf_counter() - start
    busy = time.process_time() - busy
    return {"per_s": len(made) / seconds, "busy_us": busy * 1e6 / len(made), "calls": len(made)}


async def block(seed, made):
    for call in {call[0]: call for call in made}.values():
        await seed.record(*call)
    took = []
    for call in made:
        start = time.perf_counter()
        await seed.record(*call)
        took.append((time.perf_counter() - start) * 1e9)
    took.sort()
    return {"p50_ns": took[len(took) // 2], "p99_ns": took[len(took) * 99 // 100], "calls": len(took)}


def read(reader):
    start = time.perf_counter()
    entries = reader()
    took = (time.perf_counter() - start) * 1e3
    return {"ms": took, "entries": len(entries), "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def main(arguments):
    match arguments:
        case ["write" | "block" as what, path, count, home]:
            measure = write if what == "write" else block
            return asyncio.run(measure(Seed(home), list(calls(path, int(count)))))
        case ["recent", home, user, limit]:
            return read(lambda: Seed(home).read_recent(user, 7, int(limit)))
        case ["everybody", home, limit]:
            return read(lambda: Seed(home).read_recent_all_users(7, int(limit)))
    sys.exit(__doc__)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
