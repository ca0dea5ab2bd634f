"""Runs one client with tooltrail's hook, and reads what it left."""

import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from clients import HERE, PROGRAMS, Client, Place
from fake_model import Ask, FakeModel, Json, Turn

# Longest wait for anything that a test expects; far longer than needed on a slow machine.
WAIT_S = 60.0

# How long a client may take to end that may not end.
STAY_S = 5.0

USER = "ada"

# The request that sets the flags of a network interface, and the flags of one that is on (`netdevice(7)`).
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41

# A picture of one pixel.
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# The gate of the tests. No call of `kept` may run.
GATE = """
[gate]
[[gate.rules]]
name = "no-kept"
effect = "deny"
tools = ["kept"]
"""

# A command that goes on until its file is removed.
ENDLESS = "touch started; while [ -e started ]; do sleep 0.1; done"

Entry = dict[str, Any]


def binary() -> Path:
    """Returns the path of the binary under test."""
    path = os.environ.get("TOOLTRAIL_BIN")
    if not path:
        raise AssertionError("TOOLTRAIL_BIN names no binary: run `check` beside this file")
    return Path(path)


def raise_loopback() -> None:
    """Switches the loopback interface on, which is off in a new network namespace."""
    # Outside of a namespace of its own, the process may not do that, and the interface is on.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP_RUNNING))


def install_other(client: Client, place: Place) -> None:
    """Writes the other hook into the settings, for the same events."""
    hooks = {}
    for event in client.events:
        refusal = json.dumps(client.refusal()) if event == client.before else ""
        words = [str(HERE / "other_hook.sh"), event, str(place.notes), refusal]
        hooks[event] = client.hook(event, shlex.join(words))
    client.write_hooks(place, hooks)


@dataclass(frozen=True)
class Expected:
    """A call, and what the trail says of it."""

    ask: Ask
    status: str = "ok"
    reason: "str | None" = None
    rule: "str | None" = None
    # Whether a sub-agent makes the call.
    by_agent: bool = False


def script(turns: list[list[Expected]]) -> list[Turn]:
    """Returns what the model asks for in these turns."""
    return [[expected.ask for expected in turn] for turn in turns]


class Run:
    """One run of a scenario: folders, the model, and the starts of the client, all of which share one trail."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.expected: list[Expected] = []
        self.outputs: list[str] = []
        # The settings with the other hook only.
        self.before = ""
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="agents-", ignore_cleanup_errors=True))
            self.place = Place(Path(folder).resolve())
            self.model = stack.enter_context(FakeModel({}))
            self._stack = stack.pop_all()
        for path in (self.place.home, self.place.work, self.place.root / "tmp"):
            path.mkdir()
        (self.place.work / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
        self.place.outside.write_text("one\n", encoding="utf-8")
        (self.place.work / "a.png").write_bytes(b64decode(PICTURE))
        self.place.config.write_text(GATE, encoding="utf-8")
        client.settings(self.place, self.model.url)

    def __enter__(self) -> Self:
        """Returns the run."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the model and removes the folders."""
        self._stack.close()

    def install(self, program: "Path | None" = None) -> None:
        """Installs the two hooks."""
        install_other(self.client, self.place)
        self.before = self.hooks_file()
        self.tooltrail("agent", "install", self.client.name, "--user", USER, program=program)

    def hooks_file(self) -> str:
        """Returns the settings in which the client's hooks are, or those of others."""
        return (self.place.home / self.client.hooks_file).read_text("utf-8")

    def expect(self, turns: list[list[Expected]]) -> list[Turn]:
        """Notes the calls of a script as expected, and returns the script."""
        self.expected += [expected for turn in turns for expected in turn]
        return script(turns)

    def expect_made(self, turn: Turn) -> Turn:
        """Notes the calls of a turn as expected when the model makes them."""

        def made(results: list[str]) -> list[Ask]:
            asks = turn if isinstance(turn, list) else turn(results)
            self.expected += map(Expected, asks)
            return asks

        return made

    def start(
        self, prompt: str, resume: bool = False, end_with: "signal.Signals | None" = None,
        may_stay_when: "Callable[[], bool] | None" = None,
    ) -> None:  # fmt: skip
        """Starts the client with a prompt, and waits until it has ended.

        A signal is sent to it and to what it started, like by Ctrl-C, while the endless command runs. A client that may
        stay when something has happened is ended then, if it does.
        """
        client, place = self.client, self.place
        command = [str(PROGRAMS / client.program), *client.command(place, prompt, self.session() if resume else None)]
        env = {
            "PATH": os.environ["PATH"], "HOME": str(place.home), "TMPDIR": str(place.root / "tmp"), "LANG": "C.UTF-8",
            "TERM": "dumb", "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"], **client.env(self.model.url),
        }  # fmt: skip
        output = place.root / "output"
        with open(output, "wb") as out:
            process = subprocess.Popen(
                command, cwd=place.work, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = self.end(process, end_with, may_stay_when)
            finally:
                self.outputs.append(output.read_text("utf-8", "replace"))
        if end_with is None and code != 0:
            raise AssertionError(f"{client.name} ended with {code}")

    def end(
        self, process: subprocess.Popen[bytes], end_with: "signal.Signals | None",
        may_stay_when: "Callable[[], bool] | None",
    ) -> int:  # fmt: skip
        """Waits until a client has ended, and returns its exit code."""
        try:
            if end_with is not None:
                wait_for(lambda: self.has_begun() or process.poll() is not None)
                os.killpg(process.pid, end_with)
            if may_stay_when is not None:
                wait_for(lambda: may_stay_when() or process.poll() is not None)
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(STAY_S)
                return 0
            return process.wait(WAIT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def has_begun(self) -> bool:
        """Whether the endless command runs, and the client has noted it."""
        return (self.place.work / "started").exists() and self.client.is_kept(self.place, ENDLESS)

    def sent(self) -> list[Json]:
        """Returns the events that the other hook got."""
        notes = self.place.notes
        return [json.loads(line) for line in notes.read_text("utf-8").splitlines()] if notes.exists() else []

    def session(self) -> str:
        """Returns the session's id."""
        return str(self.sent()[0]["sent"][self.client.session])

    def tooltrail(self, *args: str, program: "Path | None" = None) -> str:
        """Runs a command of tooltrail on the trail, with the binary under test or with a copy."""
        folders = ["--home", str(self.place.trail), "--keys", str(self.place.keys), "--config", str(self.place.config)]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.place.home)}
        done = subprocess.run(
            [str(program or binary()), *args, *folders],
            capture_output=True, text=True, encoding="utf-8", env=env, timeout=WAIT_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"tooltrail {shlex.join(args)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def trail(self) -> "tuple[list[Entry], list[Entry]]":
        """Returns the calls in the day files, and tooltrail's own events."""
        lines: list[Entry] = []
        for path in sorted(self.place.trail.glob("*/tool_audit/*.jsonl")):
            lines += [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip(" ")]
        own = [line for line in lines if line["tool"].startswith("tooltrail.")]
        return [line for line in lines if not line["tool"].startswith("tooltrail.")], own

    def played(self) -> "Played":
        """Returns what the run left."""
        calls, own = self.trail()
        files = {path.name for path in self.place.work.iterdir()}
        lost = self.place.lost.read_text("utf-8", "replace") if self.place.lost.exists() else ""
        return Played(
            self.client, self.session(), self.expected, calls, own, self.sent(), files, self.outputs,
            self.model.requests, self.model.summaries, lost, self.is_uninstalled(), *self.imported(),
        )  # fmt: skip

    def is_uninstalled(self) -> bool:
        """Takes tooltrail's hook out of the settings. Returns whether these are as they were."""
        self.tooltrail("agent", "uninstall", self.client.name)
        own = self.place.home / ".copilot" / "hooks" / "tooltrail.json"
        return self.hooks_file() == self.before and not own.exists()

    def imported(self) -> "tuple[list[Entry], int]":
        """Imports the session files into the same trail. Returns the new entries, and how many calls then count."""
        if not self.client.files:
            return [], 0
        self.tooltrail("import", "--user", USER, str(self.place.home / self.client.files))
        calls, _ = self.trail()
        counted = json.loads(self.tooltrail("stats", "--json"))["total"]
        return [call for call in calls if call["via"] == "import"], counted


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT_S:.0f} s: what the client was told to do")
        time.sleep(0.02)


@dataclass
class Played:
    """What a run left."""

    client: Client
    session: str
    expected: list[Expected]
    calls: list[Entry]
    own: list[Entry]
    sent: list[Json]
    # The names in the folder in which the client worked.
    files: set[str]
    # What each start of the client printed.
    outputs: list[str]
    requests: list[Json]
    summaries: int
    # What hooks could not record.
    lost: str
    # Whether the settings are as they were before tooltrail's hook.
    uninstalled: bool
    # The entries of an import of the session files, and how many calls the statistics count after it.
    imported: list[Entry]
    counted: int

    def was_told(self, text: str) -> bool:
        """Whether the model read this text."""
        return any(text in json.dumps(request, ensure_ascii=False) for request in self.requests)
