#!/usr/bin/env python3
"""Measures the service over a home of very many users: at rest, with some of them active, and while it answers.

many_users.py PROGRAM FOLDER [USERS] [DAYS]

Makes a home of USERS (20,000) with DAYS (3) day files each in FOLDER, if it is not there, and prints one JSON object.
"""

import datetime
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PORT = 7423
# How long the service settles (it seals the new home first), and how long each state is measured, in seconds.
SETTLE, MEASURE = 300, 40
ACTIVE = 100
QUESTIONS = ["users", "recent?limit=500", "recent?q=nothingmatches", "stats", "series", "sessions"]


def make(home, users, days):
    now = datetime.datetime.now(datetime.timezone.utc)
    dates = [(now - datetime.timedelta(days=back)).strftime("%Y-%m-%d") for back in range(days)]
    for n in range(users):
        folder = home / f"u{n:05}" / "tool_audit"
        folder.mkdir(parents=True)
        for date in dates:
            line = {"ts": f"{date}T00:00:01.000Z", "user": f"u{n:05}", "tool": "t", "args": {}, "status": "ok"}
            line |= {"result_chars": 0, "result_snippet": ""}
            (folder / f"{date}.jsonl").write_text(json.dumps(line, separators=(",", ":")) + "\n")


class Service:
    def __init__(self, program, folder):
        self.environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "TOOLTRAIL_HOME": str(folder / "home")}
        self.program = program
        name = f"bench-{time.time_ns()}"
        self.admin = self.token(f"{name}-admin", "admin")
        self.ingest = self.token(f"{name}-ingest", "ingest")
        command = [program, "serve", "--listen", f"127.0.0.1:{PORT}"]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def token(self, name, role):
        command = [self.program, "token", "add", name, "--role", role]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()

    def ask(self, path, body=None):
        headers = {"Authorization": f"Bearer {self.admin if body is None else self.ingest}"}
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def wait(self):
        for _ in range(600):
            try:
                return self.ask("/readyz")
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the service is not ready after two minutes")

    def processor(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def share(self, seconds):
        """Returns the part of one core that is used meanwhile, in percent."""
        before, begun = self.processor(), time.monotonic()
        time.sleep(seconds)
        return round(100 * (self.processor() - before) / (time.monotonic() - begun), 2)

    def memory(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def entries(numbers, tool):
    return "\n".join(json.dumps({"user": f"u{n:05}", "tool": tool, "status": "ok"}) for n in numbers).encode()


def foreign(stream, home, number):
    """Returns how long a line of a program that reports nothing takes to be seen."""
    now, got, begun = datetime.datetime.now(datetime.timezone.utc), b"", time.monotonic()
    line = {"ts": f"{now:%Y-%m-%dT%H:%M:%S}.000Z", "user": f"u{number:05}", "tool": "probe", "args": {}, "status": "ok"}
    line |= {"result_chars": 0, "result_snippet": ""}
    with open(home / f"u{number:05}" / "tool_audit" / f"{now:%Y-%m-%d}.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
    while b"probe" not in got:
        got = stream.recv(65_536)
    return round(time.monotonic() - begun, 1)


def main(program, folder, users=20_000, days=3):
    folder = Path(folder)
    home, users = folder / "home", int(users)
    if not home.exists():
        make(home, users, int(days))
    service = Service(program, folder)
    found = {}
    try:
        service.wait()
        time.sleep(SETTLE)
        found["idle_percent"], found["idle_mib"] = service.share(MEASURE), service.memory()
        stream = socket.create_connection(("127.0.0.1", PORT))
        request = f"GET /api/audit/stream?q=tool%3Dprobe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.admin}"
        stream.sendall(f"{request}\r\n\r\n".encode())
        time.sleep(2)
        seen = []
        for n in range(20):
            begun, got = time.monotonic(), b""
            service.ask("/api/audit/entries", entries([n * 1_999 % users], "probe"))
            while b"probe" not in got:
                got = stream.recv(65_536)
            seen.append(round(time.monotonic() - begun, 3))
        found["seen_p95_s"] = sorted(seen)[-2]
        found["foreign_seen_s"] = max(foreign(stream, folder / "home", n * 3_001 % users) for n in range(5))
        stop = threading.Event()

        def feed():
            while not stop.wait(1):
                service.ask("/api/audit/entries", entries(range(0, users, max(1, users // ACTIVE)), "t"))

        feeder = threading.Thread(target=feed)
        feeder.start()
        found["active_percent"] = service.share(MEASURE)
        stop.set()
        feeder.join()
        for question in QUESTIONS:
            begun = time.monotonic()
            service.ask(f"/api/audit/{question}")
            found[question] = {"s": round(time.monotonic() - begun, 3), "mib": service.memory()}
    finally:
        service.process.terminate()
        service.process.wait()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
