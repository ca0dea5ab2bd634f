"""Runs all contestants of every case in turn, computes ratios from their results and writes docs/performance.md.

A contestant is a program that is measured. `bench/run` builds what this needs and starts it. Standard library only.
"""

import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "target" / "release" / "tooltrail-bench"
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

PASSES = 3
# The factor by which tooltrail must be faster than the seed if RATIO_GOALS has no other goal.
SEED_GOAL = 10
# Loggers that get fields, and loggers that get our finished line.
FIELD_LOGGERS = ("tracing-appender", "slog-async")
LINE_LOGGERS = ("spdlog", "spdlog-async", "ftlog", "fast_log")
LOGGERS = FIELD_LOGGERS + LINE_LOGGERS
# How much the recorder's memory may grow: 64 MiB of queued calls, and as much for the lines that are made from them.
MEMORY_CAP_MIB = 128
SERVICE = HERE.parent / "target" / "release" / "tooltrail"
SERVICE_CAP_MIB = 20

# How many acknowledgements over HTTP, and then how many bare syncs, run in turn.
IN_TURN = 20

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
WORK = pathlib.Path(os.environ.get("BENCH_DIR", HERE / "target" / "bench-data"))
TRACES = os.environ.get("TOOLTRAIL_TRACES")

# Sizes at scale 1. A file always has more entries than one page of an answer.
CALLS = max(10_000, int(200_000 * SCALE))
CALLER_CALLS = max(8_000, int(80_000 * SCALE))
WRITTEN = max(10_000, int(100_000 * SCALE))
ENTRIES = max(20_000, int(1_000_000 * SCALE))
USERS = 1_000
ENTRIES_EACH = max(20, int(1_000 * SCALE))
DURABLE_SECONDS = max(0.5, 3 * SCALE)
PACED_SECONDS = max(1, 3 * SCALE)
TRACED_SECONDS = max(1, 3 * SCALE)
# The seed's reader needs most of a minute for the large file, so it is measured once in a run, not in each pass.
SEED_READS = 1


def main():
    if WORK.exists():
        shutil.rmtree(WORK)
    WORK.mkdir(parents=True)
    try:
        data = prepare()
        answers = measure(cases(data))
        report(data, answers)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def ask(command):
    """Runs a command and returns the JSON object in its last line of output."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def prepare():
    calls = WORK / "calls.jsonl"
    command = [PROGRAM, "calls", calls, CALLS]
    if TRACES:
        command.append(traces())
    say(f"data: {CALLS:,} calls, {ENTRIES:,} entries of one user, {USERS:,} users x {ENTRIES_EACH:,} entries")
    made = ask(command)
    what = "made by a seeded generator"
    if TRACES:
        what = f"{made['distinct']:,} recorded calls, drawn again and again (users too, as most recordings name none)"
    one, many = WORK / "one", WORK / "many"
    for home, users, each in ((one, 1, ENTRIES), (many, USERS, ENTRIES_EACH)):
        took = ask([PROGRAM, "home", home, calls, users, each])
        say(f"  {took['entries']:,} entries recorded in {took['seconds']:.1f} s")
    day = next((one / "user0000" / "tool_audit").glob("*.jsonl"))
    tool, hits = rare_tool(day)
    size = made["bytes"] // made["calls"]
    # Write all pending data to the disk before the measurements start.
    os.sync()
    return {"calls": calls, "what": what, "call_bytes": size, "one": one, "many": many, "day": day, "tool": tool, "hits": hits}


def traces():
    """Joins the recorded calls of a folder: every line that has exactly the keys of the common form."""
    keys = {"ts", "user", "session", "tool", "args", "status", "result", "duration_ms"}
    joined = WORK / "traces.jsonl"
    with open(joined, "w", encoding="utf-8") as out:
        for path in sorted(pathlib.Path(TRACES).glob("*.jsonl.zst")):
            text = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
            for line in text.decode("utf-8").split("\n"):
                if line and set(json.loads(line)) == keys:
                    out.write(line + "\n")
    return joined


def rare_tool(day):
    """Returns the tool with the most failed calls that fit on one page, so that both sides scan the whole file."""
    counts = {}
    pattern = re.compile(rb'"tool":"([^"\\]+)"')
    with open(day, "rb") as file:
        for line in file:
            if b'"status":"error"' in line and (found := pattern.search(line)):
                counts[found[1].decode()] = counts.get(found[1].decode(), 0) + 1
    fitting = {tool: count for tool, count in counts.items() if count < 1_000}
    if not fitting:
        raise SystemExit("no tool has between 1 and 1,000 failed calls")
    return max(fitting.items(), key=lambda item: item[1])


def cases(data):
    """Returns all cases: title, metric, unit, whether less is better, contestants, whether each run gets a new folder.

    `None` as contestants means: use the results of the case before.
    """
    calls, one, many = data["calls"], data["one"], data["many"]

    def rust(*arguments):
        return lambda folder, prefix=(): ask([*prefix, PROGRAM, *arguments, *([folder] if folder else [])])

    def seed(*arguments):
        return lambda folder: ask([sys.executable, HERE / "seed.py", *arguments, *([folder] if folder else [])])

    def whole(run):
        def timed(folder):
            start = time.perf_counter()
            answer = run(folder)
            return {**answer, "ms": (time.perf_counter() - start) * 1e3}

        return timed

    found = []
    for threads in (1, 2, 8):
        contestants = {who: rust("caller", who, calls, CALLER_CALLS, threads) for who in ("tooltrail", *LOGGERS)}
        contestants["moved"] = rust("caller", "moved", calls, CALLER_CALLS, threads)
        contestants["clock alone"] = rust("caller", "clock", calls, CALLER_CALLS, threads)
        if threads == 1:
            contestants["seed"] = seed("block", calls, CALLER_CALLS // 4)
        title = f"`record()`, {threads} thread{'s' * (threads > 1)}"
        found.append((f"{title}, p50", "p50_ns", "ns", True, contestants, True))
        found.append((f"{title}, p99", "p99_ns", "ns", True, None, True))
    contestants = {who: rust("paced", who, calls, PACED_SECONDS, "false") for who in ("tooltrail", *LOGGERS)}
    found.append(("paced, 64 callers, p99", "p99_ns", "ns", True, contestants, True))
    contestants = {who: traced(rust("paced", who, calls, TRACED_SECONDS, "true")) for who in ("tooltrail", *LOGGERS)}
    found.append(("calls of the system in a paced call", "calls_each", "", True, contestants, True))
    contestants = {who: rust("throughput", who, calls, WRITTEN) for who in ("tooltrail", "not redacted", *LOGGERS)}
    contestants["seed"] = seed("write", calls, WRITTEN)
    found.append(("calls to disk", "per_s", "/s", False, contestants, True))
    # On a busy machine, processor times are easier to compare than wall times.
    found.append(("processor time of a call to disk", "busy_us", "µs", True, None, True))
    contestants = {who: rust("throughput", who, calls, WRITTEN) for who in ("steady", "steady sealed")}
    found.append(("calls to disk without and with sealing", "per_s", "/s", False, contestants, True))
    contestants = {
        "tooltrail": rust("recent", one, "user0000", 200, "", 21),
        "seed": seed("recent", one, "user0000", 200),
    }
    found.append((f"newest 200 of {ENTRIES:,}", "ms", "ms", True, contestants, False))
    contestants = {
        "tooltrail": rust("recent", many, "*", 500, "", 5),
        "seed": seed("everybody", many, 500),
    }
    found.append((f"newest 500 of {USERS:,} users x {ENTRIES_EACH:,}", "ms", "ms", True, contestants, False))
    query = f"tool={data['tool']} status=error"
    contestants = {
        "tooltrail": whole(rust("recent", one, "user0000", 1_000, query, 1)),
        "ripgrep": whole(lambda _: ripgrep(data["day"], data["tool"])),
    }
    found.append((f"filter {ENTRIES:,} entries, {data['hits']:,} hits", "ms", "ms", True, contestants, False))
    contestants = {
        "tooltrail": rust("durable", "grouped", calls, DURABLE_SECONDS),
        "SQLite FULL": rust("store", "sqlite", calls, DURABLE_SECONDS),
        "redb": rust("store", "redb", calls, DURABLE_SECONDS),
    }
    found.append(("acknowledged, 1,000 callers, 100 users", "per_s", "/s", False, contestants, True))
    contestants = {"tooltrail": rust("durable", "strict", calls, DURABLE_SECONDS)}
    found.append(("strict calls, 1,000 callers, 100 users", "per_s", "/s", False, contestants, True))
    contestants = {"tooltrail": rust("alone", calls, DURABLE_SECONDS)}
    found.append(("one caller's acknowledgement, p50", "p50_us", "µs", True, contestants, True))
    contestants = {"tooltrail": lambda folder: sender_alone(folder, DURABLE_SECONDS)}
    found.append(("one sender over HTTP, p50", "p50_us", "µs", True, contestants, True))
    contestants = {"tooltrail": rust("memory", calls, DURABLE_SECONDS)}
    found.append(("memory while 8 threads record all they can", "grown_mib", "MiB", True, contestants, True))
    contestants = {"tooltrail": idle_service}
    found.append(("memory of the idle service", "resident_mib", "MiB", True, contestants, True))
    return found


# The goals for ratios: the case, the rival (a tuple means the best of these rivals), the factor to reach.
RATIO_GOALS = [
    *((f"`record()`, {threads}, p50", "tracing-appender", 8) for threads in ("1 thread", "2 threads", "8 threads")),
    *((f"`record()`, {threads}, p50", LINE_LOGGERS, 1.5) for threads in ("1 thread", "2 threads", "8 threads")),
    *(("paced, 64 callers, p99", who, 20) for who in LOGGERS),
    ("calls to disk", LOGGERS, 1),
    ("calls to disk", "tracing-appender", 5),
    ("calls to disk", "seed", 100),
    ("acknowledged, 1,000 callers, 100 users", "SQLite FULL", 4),
    ("acknowledged, 1,000 callers, 100 users", "redb", 1.7),
]

# The goals for our own figures: the case, the contestant, the metric, its unit, "at most" or "at least", the bound.
OWN_GOALS = [
    ("`record()`, 1 thread, p50", "moved", "p50_ns", "ns", "at most", 60),
    ("calls of the system in a paced call", "tooltrail", "calls_each", "calls", "at most", 0),
    ("paced, 64 callers, p99", "tooltrail", "idle_switches", "switches of an idle writer in 2 s", "at most", 1),
    ("acknowledged, 1,000 callers, 100 users", "tooltrail", "per_s", "/s", "at least", 50_000),
    ("acknowledged, 1,000 callers, 100 users", "tooltrail", "p99_us", "µs (p99)", "at most", 15_000),
    ("acknowledged, 1,000 callers, 100 users", "tooltrail", "day_files_per_s", "/s in day files, durably", None, None),
    ("strict calls, 1,000 callers, 100 users", "tooltrail", "per_s", "/s", "at least", 20_000),
    ("one caller's acknowledgement, p50", "tooltrail", "against_growing", "× a bare sync, growing file", "at most", 1.2),
    ("one caller's acknowledgement, p50", "tooltrail", "against_overwritten", "× a bare sync, overwritten", None, None),
    ("one sender over HTTP, p50", "tooltrail", "against_growing", "× a bare sync, growing file", "at most", 1.5),
    ("memory while 8 threads record all they can", "tooltrail", "grown_mib", "MiB", "at most", MEMORY_CAP_MIB),
    ("memory of the idle service", "tooltrail", "resident_mib", "MiB", "at most", SERVICE_CAP_MIB),
]


def traced(run):
    """Returns a function that runs a contestant under strace and counts the system calls between its marks."""

    def counted(folder):
        return count_marked(run(folder, prefix=["strace", "-f", "-qq", "-o", folder / "trace", "-e", "signal=none"]), folder)

    return counted


def count_marked(answer, folder):
    """Adds the system calls of each recorded call to an answer.

    A caller makes a `getppid` call before and after each recorded call; no other thread calls `getppid`.
    """
    inside, between, calls = {}, {}, 0
    with open(folder / "trace", encoding="utf-8", errors="replace") as file:
        for line in file:
            thread, _, what = line.partition(" ")
            what = what.strip()
            if what.startswith("getppid("):
                inside[thread] = not inside.get(thread, False)
                calls += inside[thread]
            elif inside.get(thread) and not what.startswith("<..."):
                name = what.partition("(")[0]
                between[name] = between.get(name, 0) + 1
    if calls != answer["calls"]:
        raise SystemExit(f"{calls} marked calls of {answer['calls']}: the trace is not whole")
    return {**answer, "between": between, "calls_each": sum(between.values()) / calls}


def idle_service(folder):
    """Measures the memory of the real binary after five seconds without requests."""
    command = [SERVICE, "--home", folder / "home", "serve", "--listen", "127.0.0.1:0", "--keys", folder / "keys"]
    service = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(5)
        status = pathlib.Path(f"/proc/{service.pid}/status").read_text(encoding="utf-8")
        return {"resident_mib": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024}
    finally:
        service.terminate()
        service.wait()


def sender_alone(folder, seconds):
    """Measures one sender on one connection of the real binary, in turn with a bare append and sync of 4 KiB."""
    flags = ["--home", folder / "home", "--keys", folder / "keys"]
    token = [str(part) for part in (SERVICE, *flags, "token", "add", "sender", "--role", "ingest")]
    token = subprocess.run(token, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    command = [str(part) for part in (SERVICE, *flags, "serve", "--listen", "127.0.0.1:0")]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(re.search(r"127\.0\.0\.1:(\d+)", service.stdout.readline())[1])
        body = json.dumps({"tool": "fs.read", "user": "alice", "args": {"path": "src/main.rs"}, "status": "ok", "result": "x" * 400})
        head = f"POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        request = (head + body).encode()
        ready = urllib.request.Request(f"http://127.0.0.1:{port}/readyz")
        while True:
            try:
                urllib.request.urlopen(ready, timeout=5).close()
                break
            except urllib.error.HTTPError:
                time.sleep(0.05)
        ours, theirs, block = [], [], bytes(4_096)
        with socket.create_connection(("127.0.0.1", port)) as stream, open(folder / "bare", "ab", buffering=0) as bare:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def send():
                stream.sendall(request)
                answer = stream.recv(4_096)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"the service answers {answer!r}")

            def sync():
                bare.write(block)
                os.fdatasync(bare.fileno())

            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for once, took in ((send, ours), (sync, theirs)):
                    for _ in range(IN_TURN):
                        began = time.perf_counter()
                        once()
                        took.append((time.perf_counter() - began) * 1e6)
        ours, theirs = statistics.median(ours), statistics.median(theirs)
        return {"p50_us": ours, "bare_us": theirs, "against_growing": ours / theirs}
    finally:
        service.terminate()
        service.communicate()


def ripgrep(day, tool):
    command = f"rg -F '\"tool\":\"{tool}\"' {day} | rg -cF '\"status\":\"error\"'"
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True, text=True)
    return {"entries": int(done.stdout)}


def measure(all_cases):
    """Runs every contestant once in each pass; the order changes from pass to pass."""
    answers, folders_made = {}, 0
    for turn in range(PASSES):
        say(f"pass {turn + 1} of {PASSES}")
        before = None
        for title, _, _, _, contestants, folders in all_cases:
            if contestants is None:
                answers[title] = before
                continue
            before = answers.setdefault(title, {who: [] for who in contestants})
            names = list(contestants)
            for who in names[turn % len(names) :] + names[: turn % len(names)]:
                if who == "seed" and not folders and turn >= SEED_READS:
                    continue
                folder = None
                if folders:
                    # Always use a new folder and remove none before the end, because file systems create files
                    # slowly after many files were removed.
                    folders_made += 1
                    folder = WORK / f"run{folders_made}"
                    folder.mkdir()
                before[who].append(contestants[who](folder))
                if folder:
                    # Pending writes of one contestant must not slow down the next.
                    os.sync()
    return [(case, answers[case[0]]) for case in all_cases]


def compared(case, answer):
    """Yields the rows of a case: title, rival, our median, the rival's median, the ratios of the passes."""
    title, metric, _, less, _, _ = case
    ours = [found[metric] for found in answer["tooltrail"]]
    groups = {who: [found] for who, found in answer.items() if who not in ("tooltrail", "clock alone", "moved", "not redacted")}
    for goal_title, rivals, _ in RATIO_GOALS:
        if goal_title == title and isinstance(rivals, tuple):
            groups[rivals] = [answer[who] for who in rivals]
    for who, members in groups.items():
        per_pass = [[one[metric] for one in found if metric in one] for found in members]
        if not all(per_pass):
            continue
        theirs = [min(them) if less else max(them) for them in zip(*per_pass)]
        beside = theirs if len(theirs) == len(ours) else theirs * len(ours)
        if less and not all(ours):
            continue
        ratios = [b / a if less else a / b for a, b in zip(ours, beside)]
        yield title, who, statistics.median(ours), statistics.median(theirs), ratios


def goal_of(title, who, metric):
    """Returns the factor to be reached, or None."""
    for goal_title, rivals, factor in RATIO_GOALS:
        if (goal_title, rivals) == (title, who):
            return factor
    return SEED_GOAL if who == "seed" and metric != "busy_us" else None


def named(who):
    """Returns the name of a rival in the table."""
    if isinstance(who, tuple):
        return "fastest logger" if who == LOGGERS else "fastest logger that is handed our line"
    return f"{who}, our line" if who in LINE_LOGGERS else who


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def report(data, answers):
    lines = ["| what | tooltrail | against | | ratio (passes) | goal |", "|---|---|---|---|---|---|"]
    short = []
    for case, answer in answers:
        for title, who, ours, theirs, ratios in compared(case, answer):
            unit, middle, factor = case[2], statistics.median(ratios), goal_of(case[0], who, case[1])
            goal = "–"
            if factor:
                goal = f"≥ {factor:g}: {'reached' if middle >= factor else 'short'}"
                if middle < factor:
                    short.append(f"{title} against {named(who)}: {number(middle)} of {factor:g}")
            spread = f"{number(min(ratios))}–{number(max(ratios))}"
            lines.append(
                f"| {title} | {number(ours)} {unit} | {named(who)} | {number(theirs)} {unit} "
                f"| **{number(middle)}** ({spread}) | {goal} |"
            )
    lines += ["", "| our own figure | median (passes) | goal |", "|---|---|---|"]
    by_title = {case[0]: answer for case, answer in answers}
    for title, who, metric, unit, side, bound in OWN_GOALS:
        found = [value(one, metric) for one in by_title.get(title, {}).get(who, [])]
        what = title if who == "tooltrail" else f"{title.removesuffix(', p50')}, {who}, p50"
        if not found or None in found:
            lines.append(f"| {what} | not measured | {bound or '–'} |")
            continue
        middle, goal = statistics.median(found), "reported"
        if side:
            reached = middle <= bound if side == "at most" else middle >= bound
            goal = f"{side} {bound:,}: {'reached' if reached else 'short'}"
            if not reached:
                short.append(f"{what}: {number(middle)} {unit}, {side} {bound:,}")
        lines.append(f"| {what} | **{number(middle)}** {unit} ({number(min(found))}–{number(max(found))}) | {goal} |")
    notes = [
        f"Goals not reached: {'; '.join(short) if short else 'none'}.",
        *counted(answers, data),
    ]
    text = "\n".join([*machine(data), "", *lines, "", *(f"- {note}" for note in notes)])
    print(text)
    write(text)


def value(answer, metric):
    if metric == "idle_switches":
        return answer["idle"]["switches"] if answer.get("idle") else None
    return answer.get(metric)


def counted(answers, data):
    """Yields notes that support the figures: equal answers, bytes read, memory."""
    for case, answer in answers:
        ours = answer["tooltrail"][-1]
        if case[0].startswith("filter"):
            other = answer["ripgrep"][-1]["entries"]
            same = "the same" if other == ours["entries"] else "NOT the same"
            yield f"Filter `tool={data['tool']} status=error`: {ours['entries']:,} entries, ripgrep {other:,}: {same} count."
        elif case[0].startswith("newest"):
            seed = answer["seed"][-1]
            yield (
                f"{case[0].capitalize()}: {ours['entries']} entries each (seed {seed['entries']}), "
                f"{ours['scanned_bytes'] / 1e6:,.1f} MB of {ours['scanned_files']:,} files read; "
                f"peak memory {ours['peak_mib']:,} MiB against {seed['peak_mib']:,} MiB."
            )
        elif case[0].startswith("acknowledged"):
            yield (
                f"{case[0].capitalize()}: p50 {ours['p50_us'] / 1e3:,.1f} ms, p99 {ours['p99_us'] / 1e3:,.1f} ms."
            )
        elif case[0].startswith("calls of the system"):
            asked = ", ".join(f"{who} {number(found[-1]['calls_each'])}" for who, found in answer.items())
            yield f"{case[0].capitalize()}, by strace between two marks: {asked}."
        elif case[0].startswith("memory while"):
            yield f"Of what 8 threads offered, {ours['written']:,} entries were written and {ours['shed']:,} shed meanwhile."
        elif case[0].startswith("calls to disk") and "not redacted" in answer:
            theirs = max((found[-1]["per_s"], who) for who, found in answer.items() if who in LOGGERS)
            off = answer["not redacted"][-1]["per_s"]
            yield f"Redaction off: {number(off)} /s, {number(off / theirs[0])} of the fastest logger ({theirs[1]}; goal ≥ 2)."
        elif "clock alone" in answer and case[1] == "p50_ns":
            clock = statistics.median(found["p50_ns"] for found in answer["clock alone"])
            yield f"{case[0]}: reading the clock around nothing costs {number(clock)} ns of it, on both sides."


def machine(data):
    """Returns lines that say on which machine, when and with which command the figures were measured."""
    shown = lambda command: subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[0]
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) // 1024**2
    system = shown(["findmnt", "-no", "FSTYPE", "-T", WORK])
    command = f"{'' if SCALE == 1 else f'BENCH_SCALE={SCALE:g} '}{'TOOLTRAIL_TRACES=… ' if TRACES else ''}bench/run"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"`{command}`, {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, scale {SCALE:g}.",
        "",
        f"- Machine: {os.cpu_count()} × {model[1] if model else platform.machine()}, {memory} GiB, "
        f"Linux {platform.release()}, {system}; load {load} at the end.",
        f"- Tools: {shown(['rustc', '--version'])}; Python {platform.python_version()}; {shown(['rg', '--version'])}.",
        f"- Calls: {data['what']}; {data['call_bytes']:,} bytes each on average; {CALLS:,} of them.",
        f"- Sizes: `record()` {CALLER_CALLS:,} calls a pass; to disk {WRITTEN:,} calls over {USERS:,} users; "
        f"one file of {ENTRIES:,} entries ({data['day'].stat().st_size / 1e6:,.0f} MB); "
        f"{USERS:,} users × {ENTRIES_EACH:,} entries.",
    ]


def write(text):
    if SCALE != 1:
        say(f"\nscale {SCALE:g}: {PAGE.name} keeps the figures of the last full run")
        return
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    say(f"\nwritten: docs/{PAGE.name}")


if __name__ == "__main__":
    main()
