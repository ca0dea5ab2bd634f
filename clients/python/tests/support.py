"""Shared parts of the tests: the real service with a temporary home, and a fake service with prepared answers."""

import http.server
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple
from unittest import mock

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))

# The tests cause outages on purpose; tests that check the log messages capture them.
logging.getLogger("tooltrail").addHandler(logging.NullHandler())

# Longest wait for anything that a test expects; far longer than needed on a slow machine.
WAIT_S = 30.0

Entry = Dict[str, Any]


def wait_until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT_S:.0f} s: {what}")
        time.sleep(0.01)


def binary() -> str:
    path = os.environ.get("TOOLTRAIL_BIN")
    if not path:
        raise AssertionError("TOOLTRAIL_BIN names no binary: the tests need the real service")
    return path


class Trail:
    """A temporary home, its tokens, and its service, which can be stopped and started again at the same port."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name)
        self.home, self.keys = root / "home", root / "keys"
        self.flags = ["--home", str(self.home), "--keys", str(self.keys)]
        # Do not use the machine's time zone and configuration.
        machine = {name: value for name, value in os.environ.items() if not name.startswith("TOOLTRAIL_")}
        self._environment = {**machine, "XDG_CONFIG_HOME": str(root)}
        self.url = ""
        self._service: "Optional[subprocess.Popen[str]]" = None
        # Created before the service starts, because the service accepts a later token only after up to a second.
        self.ingest, self.admin = self.token("sender", "ingest"), self.token("reader", "admin")

    def run(self, *args: str) -> str:
        command = [binary(), *args, *self.flags]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=self._environment, timeout=WAIT_S
        ).stdout

    def token(self, name: str, role: str, *more: str) -> str:
        return self.run("token", "add", name, "--role", role, *more).strip()

    def start(self) -> None:
        address = self.url[len("http://") :] or "127.0.0.1:0"
        command = [binary(), "serve", "--listen", address, *self.flags]
        self._service = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self._environment
        )
        assert self._service.stdout is not None
        self.url = self._service.stdout.readline().strip()
        assert self.url, "the service did not start"
        wait_until(self._is_ready, "the service is ready")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=WAIT_S) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def stop(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            service.send_signal(signal.SIGTERM)
            service.wait(WAIT_S)
            assert service.stdout is not None
            service.stdout.close()

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()

    def settings(self) -> Dict[str, str]:
        """The environment variables for this service and home."""
        return {
            "TOOLTRAIL_URL": self.url,
            "TOOLTRAIL_TOKEN": self.ingest,
            "TOOLTRAIL_READ_TOKEN": self.admin,
            "TOOLTRAIL_HOME": str(self.home),
        }

    def entries(self, *query: str) -> List[Entry]:
        """The entries in the files, oldest first, read without the module; the service's own events are left out."""
        lines: List[Entry] = []
        for path in sorted(self.home.glob("*/tool_audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip(" ")]
        return [entry for entry in lines if entry["tool"] not in ("tooltrail.start", "tooltrail.stop", "tooltrail.read")]

    def gaps(self) -> int:
        """How many calls the trail says were lost."""
        return sum(entry["args"]["lost"] for entry in self.entries() if entry["tool"] == "tooltrail.gap")


class WithTrail(unittest.TestCase):
    """Tests with a real service; the environment variables point to it."""

    def setUp(self) -> None:
        self.trail = Trail()
        self.addCleanup(self.trail.close)
        self.trail.start()
        patch = mock.patch.dict(os.environ, self.trail.settings())
        patch.start()
        self.addCleanup(patch.stop)
        os.environ.pop("TOOLTRAIL_ZONE", None)

    def python(self, program: str, *args: str) -> "subprocess.CompletedProcess[str]":
        """Runs a program in a separate process, with the module on its path."""
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *args],
            env=environment, capture_output=True, text=True, timeout=WAIT_S,
        )


class Told:
    """A fake service that records its requests, gives the prepared answers, and then accepts everything."""

    def __init__(self, *answers: "Tuple[int, Dict[str, str], bytes]") -> None:
        self.answers = list(answers)
        self.requests: List[Tuple[Dict[str, str], List[Entry]]] = []
        self.connections = 0
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                told.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                lines = [json.loads(line) for line in body.splitlines()]
                told.requests.append(({name.lower(): value for name, value in self.headers.items()}, lines))
                taken = json.dumps({"accepted": len(lines), "rejected": []}).encode()
                status, headers, answer = told.answers.pop(0) if told.answers else (200, {}, taken)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def lines(self) -> List[Entry]:
        return [line for _, lines in self.requests for line in lines]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
