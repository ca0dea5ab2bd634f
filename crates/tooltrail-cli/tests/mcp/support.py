"""Runs one client against one server, through tooltrail or directly, with a tap at each end of what is between them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import Implementation

from servers import HERE, NPM, Call, Server

# Longest wait for anything that a test expects; far longer than needed on a slow machine.
WAIT_S = 30.0

USER = "ada"
SESSION = "a-session"

Entry = dict[str, Any]


def binary() -> str:
    """Returns the path of the binary under test."""
    path = os.environ.get("TOOLTRAIL_BIN")
    if not path:
        raise AssertionError("TOOLTRAIL_BIN names no binary: run `check` beside this file")
    return path


@dataclass
class Tap:
    """What went through a tap, and how the command behind it ended."""

    input: bytes
    output: bytes
    errors: str
    code: int
    signals: list[int]

    def digests(self) -> tuple[str, str]:
        """Returns the SHA-256 of the bytes in each direction: from the client, and from the server."""
        return sha256(self.input).hexdigest(), sha256(self.output).hexdigest()

    def messages(self) -> "tuple[list[Entry], list[Entry]]":
        """Returns the JSON-RPC messages in each direction."""
        sent, got = ([json.loads(line) for line in text.splitlines()] for text in (self.input, self.output))
        return sent, got


@dataclass
class Played:
    """One run: what the client saw of each call, the taps of each start of the command, and the lines of the trail."""

    seen: list[dict[str, Any]]
    outer: list[Tap]
    inner: list[Tap] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    events: list[Entry] = field(default_factory=list)


def taps(folder: Path, place: str) -> list[Tap]:
    """Returns the taps at a place in the order of their start, when the command behind each has ended."""
    found = []
    for copy in sorted(folder.glob(f"*.{place}.in")):
        end = copy.with_suffix(".end")
        deadline = time.monotonic() + WAIT_S
        while not end.exists():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {WAIT_S:.0f} s: the {place} tap sees its command end")
            time.sleep(0.01)
        errors = copy.with_suffix(".err")
        found.append(
            Tap(
                copy.read_bytes(), copy.with_suffix(".out").read_bytes(),
                errors.read_text("utf-8", "replace") if errors.exists() else "", **json.loads(end.read_text("utf-8")),
            )
        )  # fmt: skip
    return found


def trail(home: Path) -> "tuple[list[Entry], list[Entry]]":
    """Returns the calls in the day files of the one user, oldest first, and tooltrail's own events."""
    lines: list[Entry] = []
    for path in sorted(home.glob("*/tool_audit/*.jsonl")):
        assert path.parent.parent.name == USER, path
        lines += [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip(" ")]
    own = [line for line in lines if line["tool"].startswith("tooltrail.")]
    return [line for line in lines if not line["tool"].startswith("tooltrail.")], own


class ClientFailed(AssertionError):
    """A client did not do what it was told."""


def python_client(mode: str, command: list[str], env: dict[str, str], calls: list[Call]) -> list[dict[str, Any]]:
    """Plays a client on the Python SDK, in this process because loading it takes a second."""

    async def play() -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        server = StdioServerParameters(command=command[0], args=command[1:], env=env)
        info = Implementation(name="python-client", version="3.0.1")
        with anyio.fail_after(WAIT_S):
            async with Client(server, mode=mode, client_info=info) as client:
                await client.list_tools()
                for tool, args in calls:
                    try:
                        result = await client.call_tool(tool, args)
                        seen.append({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})
                    except MCPError as error:
                        seen.append({"error": {"code": error.code, "message": error.message}})
        return seen

    return anyio.run(play)


def environment(home: Path) -> dict[str, str]:
    """Returns the environment of the clients outside this process, without this machine's settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "MCP_INSPECTOR_SECRET_STORE": "memory"}


def node_client(
    sdk: str, mode: str, command: list[str], env: dict[str, str], calls: list[Call]
) -> list[dict[str, Any]]:
    """Plays a client on one of the TypeScript SDKs."""
    order = {"mode": mode, "command": command[0], "args": command[1:], "env": env, "calls": calls}
    done = subprocess.run(
        ["node", str(NPM / sdk / "client.mjs"), json.dumps(order)],
        capture_output=True, text=True, encoding="utf-8", env=environment(Path(env["HOME"])), timeout=WAIT_S,
    )  # fmt: skip
    if done.returncode != 0:
        raise ClientFailed(done.stderr)
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen


def inspector(command: list[str], env: dict[str, str], calls: list[Call]) -> list[dict[str, Any]]:
    """Plays the command line of the inspector, which makes one call and exits with 5 if the tool failed."""
    [(tool, args)] = calls
    home = Path(env["HOME"])
    config = home / "inspector.json"
    server = {"type": "stdio", "command": command[0], "args": command[1:], "env": env}
    config.write_text(json.dumps({"mcpServers": {"tested": server}}), encoding="utf-8")
    done = subprocess.run(
        [
            str(NPM / "inspector" / "node_modules" / ".bin" / "mcp-inspector"), "--cli", "--config", str(config),
            "--server", "tested", "--method", "tools/call", "--tool-name", tool,
            *(part for name, value in args.items() for part in ("--tool-arg", f"{name}={value}")),
        ],
        capture_output=True, text=True, encoding="utf-8", env=environment(home), timeout=WAIT_S,
    )  # fmt: skip
    if done.returncode not in (0, 5):
        raise ClientFailed(done.stderr)
    return [{"result": json.loads(done.stdout)}]


@dataclass
class Scenario:
    """One client in one mode, one server, and its calls."""

    client: str
    mode: str
    name: str
    server: Server
    calls: list[Call]
    # Whether the same run without tooltrail must give the same bytes.
    compared: bool
    # Flags of `tooltrail mcp` besides those that every run has.
    flags: list[str]

    def play(self, folder: Path, proxied: bool) -> Played:
        """Runs the client once, and reads what it left in the folder."""
        folder.mkdir()
        # `-I -S` starts Python without its site packages, in half the time.
        tap = [sys.executable, "-I", "-S", str(HERE / "tap.py"), str(folder)]
        home, keys = folder / "trail", folder / "keys"
        proxy = [
            binary(), "mcp", "--home", str(home), "--keys", str(keys), "--user", USER, "--server", self.name,
            *self.flags, "--", *tap, "inner",
        ]  # fmt: skip
        command = [*tap, "outer", *(proxy if proxied else []), *self.server.command]
        env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        if self.server.state:
            env[self.server.state] = str(folder / "state")
        try:
            match self.client:
                case "python":
                    seen = python_client(self.mode, command, env, self.calls)
                case "inspector":
                    seen = inspector(command, env, self.calls)
                case sdk:
                    seen = node_client(sdk, self.mode, command, env, self.calls)
        except Exception as error:
            said = "".join(path.read_text("utf-8", "replace") for path in sorted(folder.glob("*.err")))
            raise AssertionError(f"the client failed; standard error of what it started:\n{said}") from error
        if not proxied:
            return Played(seen, taps(folder, "outer"))
        return Played(seen, taps(folder, "outer"), taps(folder, "inner"), *trail(home))

    def both(self) -> "tuple[Played, Played | None]":
        """Returns the run through tooltrail, and the one without it if they are to be compared."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            proxied = self.play(folder / "proxied", proxied=True)
            direct = self.play(folder / "direct", proxied=False) if self.compared else None
        return proxied, direct
