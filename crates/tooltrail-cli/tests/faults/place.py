"""A home under test, and the real service for it, with the wrapper command that a case needs."""

import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

BINARY = Path(os.environ.get("TOOLTRAIL_BIN") or f"{__file__}/../../../../../target/debug/tooltrail").resolve()

# Longest wait in seconds for something that should happen immediately, on a busy machine.
PATIENCE_S = 20

# How many characters of a log a failure shows.
LOG_CHARS = 600

# The file from which tooltrail reads the id of the current boot.
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Broken(Exception):
    """A check that failed."""


class Skip(Exception):
    """Something that a case needs is missing; the text says what."""


class Place:
    """A home, its keys beside it, and an admin token."""

    def __init__(self, home=None):
        self.folder = Path(tempfile.mkdtemp(prefix="tooltrail-faults-"))
        self.home = Path(home) if home else self.folder / "home"
        self.keys = self.folder / "keys"
        self.services = []
        self.token = self.run("token", "add", "root", "--role", "admin").stdout.strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for service in self.services:
            service.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *words):
        return [str(BINARY), "--home", str(self.home), "--keys", str(self.keys), *words]

    def environment(self, extra=None):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **(extra or {})}

    def run(self, *words, wrap=(), env=None, stdin="", timeout=PATIENCE_S):
        """Runs a command to its end."""
        return subprocess.run(
            [*wrap, *self.command(*words)],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(env),
            timeout=timeout,
        )

    def service(self, wrap=(), env=None, other_boot=False, ready=True, **options):
        """Starts the service; with `ready`, waits until it accepts entries."""
        wrap = [*(in_another_boot(self.folder) if other_boot else ()), *wrap]
        service = Service(self, wrap, env, **options)
        self.services = [old for old in self.services if old.process.poll() is None] + [service]
        if ready:
            service.wait_ready()
        return service

    def copy(self, template):
        """Replaces this home with a copy of a template."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(template, self.home, symlinks=True)


def in_another_boot(folder):
    """Returns a command prefix that makes a process believe that the system was rebooted.

    tooltrail reads the boot id from the kernel. A test cannot reboot, so a file with another id is mounted over the
    kernel's file, only for this process.
    """
    if os.geteuid() != 0:
        raise Skip("another run of the system needs root")
    name = Path(folder) / "boot_id"
    name.write_text(f"{uuid.uuid4()}\n")
    return [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-c",
        f'mount --bind "$0" {BOOT_ID} && exec "$@"',
        str(name),
    ]


class Service:
    """A running `tooltrail serve`."""

    def __init__(self, place, wrap=(), env=None, options=(), **popen):
        self.place = place
        self.errors = tempfile.TemporaryFile()
        words = place.command("serve", "--listen", "127.0.0.1:0", *options)
        self.process = subprocess.Popen(
            [*wrap, *words], stdout=subprocess.PIPE, stderr=self.errors, env=place.environment(env), **popen
        )
        self.port = None
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline() if readable else b""
        if line.startswith(b"http://"):
            self.port = int(line.rsplit(b":", 1)[1])

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """Returns the end of its log."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-LOG_CHARS:]

    def connection(self, timeout=PATIENCE_S):
        if self.port is None:
            raise ConnectionError("the service did not open its port")
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, target, body=None, headers=None, connection=None, timeout=PATIENCE_S):
        """Sends one request; returns status and body, or `(None, "")` if no answer came."""
        try:
            connection = connection or self.connection(timeout)
            headers = {"Authorization": f"Bearer {self.place.token}", **(headers or {})}
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException, socket.timeout):
            if connection:
                connection.close()
            return None, ""

    def json(self, target):
        status, body = self.ask("GET", target)
        if status != 200:
            raise Broken(f"GET {target}: {status} {body}")
        return json.loads(body)

    def metric(self, name):
        """Returns a value of /metrics, summed over labels, or 0 if the metric is missing."""
        _, text = self.ask("GET", "/metrics")
        lines = [line for line in text.splitlines() if line.split(" ")[0].split("{")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def is_ready(self):
        return self.ask("GET", "/readyz", timeout=3)[0] == 200

    def wait_ready(self, within=PATIENCE_S):
        wait(self.is_ready, within, lambda: f"the service is not ready: {self.log()}", self.process)

    def stop(self, within=PATIENCE_S):
        """Ends it with SIGTERM; returns its exit code."""
        self.process.terminate()
        return self.process.wait(within)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


def wait(condition, within, why, process=None, pause=0.01):
    """Waits until a condition is true; raises `Broken` after `within` seconds."""
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end or (process and process.poll() is not None):
            raise Broken(why() if callable(why) else why)
        time.sleep(pause)


def together(*works):
    """Runs functions at the same time and raises their first failure."""
    failures = []

    def guarded(work):
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised again below
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
