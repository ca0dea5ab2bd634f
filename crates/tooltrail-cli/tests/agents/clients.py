"""The real clients: how each is started and told its settings, and how the model calls the tools that each has."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fake_model import Ask, Json, Turn

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "npm" / "node_modules" / ".bin"
MCP = [sys.executable, "-I", "-S", str(HERE / "tiny_mcp.py")]

# What the other hook answers to refuse a call.
OTHER_REASON = "refused by the other hook"


@dataclass(frozen=True)
class Place:
    """The folders of one run."""

    root: Path

    @property
    def home(self) -> Path:
        """The home folder of the user."""
        return self.root / "home"

    @property
    def work(self) -> Path:
        """The folder in which the client works."""
        return self.root / "work"

    @property
    def trail(self) -> Path:
        """The home of the trail."""
        return self.root / "trail"

    @property
    def keys(self) -> Path:
        """The keys of the trail."""
        return self.root / "keys"

    @property
    def lost(self) -> Path:
        """The file that says what hooks could not record."""
        return self.home / ".local" / "state" / "tooltrail" / "hooks.lost"

    @property
    def notes(self) -> Path:
        """The file in which the other hook notes what it gets."""
        return self.root / "events.jsonl"

    @property
    def config(self) -> Path:
        """The configuration file of tooltrail."""
        return self.work / "tooltrail.toml"

    @property
    def outside(self) -> Path:
        """A file outside of the folder in which the client works."""
        return self.root / "outside.txt"

    def write(self, path: str, content: "str | Json") -> Path:
        """Writes a file in the home folder: a text, or an object as JSON."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), encoding="utf-8")
        return file


class Client:
    """What all clients have in common; Claude Code's words, which others took over, are the default."""

    name = ""
    program = ""
    # The events for which the other hook is installed, as tooltrail's is, and the one that can refuse a call.
    events: tuple[str, ...] = ()
    before = "PreToolUse"
    # The file of the hooks, below the home folder. It may have other settings, too.
    hooks_file = ""
    # The name of the session's id in an event.
    session = "session_id"
    # Whether events say that a tool is one of an MCP server.
    tells_server = True
    # Whether the entries of a sub-agent's calls say so.
    tells_agent = True
    # What `tooltrail import` reads, below the home folder.
    files = ""
    # The prompt, if there is one, that makes the client replace the conversation with a summary.
    compact = ""
    # Whether the client may fail to end after that.
    stays_after_compact = False
    # How a call ends that Ctrl-C ends.
    cancelled = "interrupted"
    # Whether the client gives each call an id.
    has_ids = False
    # How many calls of a session only the session files know.
    unseen = 0

    @cache
    def missing(self) -> "str | None":
        """Returns why the client cannot run here; `None` if it can."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
            command = [str(PROGRAMS / self.program), "--version"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, timeout=60)
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
        said = (done.stderr.strip() or "it says nothing").splitlines()
        return None if done.returncode == 0 else f"exit code {done.returncode}: {said[0]}"

    def is_kept(self, place: Place, text: str) -> bool:
        """Whether a call with this text is in the session file, so that the session can be resumed after a kill."""
        return True

    def hook(self, event: str, command: str) -> list[Json]:
        """Returns one hook of an event, in the client's settings."""
        return [{"hooks": [{"type": "command", "command": command, "timeout": 5}]}]

    def refusal(self) -> Json:
        """Returns what a hook prints to refuse a call."""
        decision = {"permissionDecision": "deny", "permissionDecisionReason": OTHER_REASON}
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse"} | decision}

    def write_hooks(self, place: Place, hooks: dict[str, list[Json]]) -> None:
        """Writes the hooks of events into the settings, beside what is there."""
        file = place.home / self.hooks_file
        settings = json.loads(file.read_text("utf-8")) if file.exists() else {}
        place.write(self.hooks_file, settings | {"hooks": hooks})

    def settings(self, place: Place, url: str) -> None:
        """Writes the other settings: the model, the MCP server, and what a rule allows or denies."""
        raise NotImplementedError

    def command(self, place: Place, prompt: str, resume: "str | None") -> list[str]:
        """Returns the command line for one prompt, in a new session or in one that is resumed."""
        raise NotImplementedError

    def env(self, url: str) -> dict[str, str]:
        """Returns the client's own variables."""
        raise NotImplementedError

    def shell(self, command: str) -> Ask:
        """Returns a call that runs a command."""
        raise NotImplementedError

    def read(self, place: Place) -> Ask:
        """Returns a call that reads a file."""
        raise NotImplementedError

    def mcp(self, tool: str, text: str) -> Ask:
        """Returns a call of the MCP server."""
        raise NotImplementedError

    def unknown(self) -> Ask:
        """Returns a call of a tool that does not exist."""
        return Ask("nope", {"x": 1})

    def invalid(self) -> Ask:
        """Returns a call whose arguments do not fit the tool."""
        return Ask(self.shell("").name, {"no_such": 5})

    def unpermitted(self, place: Place) -> "Ask | None":
        """Returns a call for which the client would ask a person; `None` if it never asks."""
        raise NotImplementedError

    def agent(self, prompt: str) -> Ask:
        """Returns a call that starts a sub-agent."""
        raise NotImplementedError

    def after_agent(self) -> list[Turn]:
        """Returns the turns with which the model waits for the sub-agent, if it must."""
        return []

    def recorded(self, ask: Ask) -> "tuple[str, Json]":
        """Returns the tool and the arguments of a call as the trail has them."""
        return ask.name, ask.args


class ClaudeCode(Client):
    """Claude Code."""

    name = "claude-code"
    program = "claude"
    events = (
        "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "PermissionDenied", "Stop", "StopFailure",
        "SubagentStop", "SessionStart", "SessionEnd",
    )  # fmt: skip
    hooks_file = ".claude/settings.json"
    files = ".claude/projects"
    has_ids = True
    compact = "/compact"

    def settings(self, place: Place, url: str) -> None:
        """Allows what the tests use but `Write`, and denies a command and a folder."""
        rules = {"allow": ["Bash", "Read", "Agent", "mcp__tiny"], "deny": ["Bash(rm:*)", "Read(//etc/**)"]}
        place.write(".claude/settings.json", {"permissions": rules})
        place.write("mcp.json", {"mcpServers": {"tiny": {"command": MCP[0], "args": MCP[1:]}}})

    def command(self, place: Place, prompt: str, resume: "str | None") -> list[str]:
        """Returns the command line."""
        more = ["--resume", resume] if resume else []
        return ["-p", prompt, "--mcp-config", str(place.home / "mcp.json"), *more]

    def env(self, url: str) -> dict[str, str]:
        """Returns the variables of the model."""
        return {
            "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "x", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }  # fmt: skip

    def shell(self, command: str) -> Ask:
        """Returns a call that runs a command."""
        return Ask("Bash", {"command": command, "description": "a command"})

    def read(self, place: Place) -> Ask:
        """Returns a call that reads a file."""
        return Ask("Read", {"file_path": str(place.work / "a.txt")})

    def read_denied(self) -> Ask:
        """Returns a call that reads a file in a folder that a rule denies. No hook is told before it."""
        return Ask("Read", {"file_path": "/etc/passwd"})

    def mcp(self, tool: str, text: str) -> Ask:
        """Returns a call of the MCP server."""
        return Ask(f"mcp__tiny__{tool}", {"text": text})

    def unpermitted(self, place: Place) -> Ask:
        """Returns a call that no rule allows."""
        return Ask("Write", {"file_path": str(place.work / "asked.txt"), "content": "x"})

    def agent(self, prompt: str) -> Ask:
        """Returns a call that starts a sub-agent, which goes on when the call has ended."""
        return Ask("Agent", {"description": "a sub-agent", "prompt": prompt, "subagent_type": "general-purpose"})


class Codex(Client):
    """Codex. Its settings must name hooks as trusted, which a flag replaces here."""

    name = "codex"
    program = "codex"
    events = ("PreToolUse", "PostToolUse", "Stop", "SubagentStop", "SessionStart", "SessionEnd", "Interrupt")
    hooks_file = ".codex/hooks.json"
    files = ".codex/sessions"
    has_ids = True
    # The session file tells what became of the call.
    cancelled = "cancelled"

    # The tokens at which Codex makes a summary.
    LIMIT = 50_000

    def settings(self, place: Place, url: str) -> None:
        """Writes the settings. Without `analytics`, each run would wait for the network at its end."""
        settings = f"""
            model = "fake"
            model_provider = "fake"
            model_auto_compact_token_limit = {self.LIMIT}
            [analytics]
            enabled = false
            [model_providers.fake]
            name = "fake"
            base_url = "{url}/v1"
            wire_api = "responses"
            env_key = "FAKE_KEY"
            [mcp_servers.tiny]
            command = {json.dumps(MCP[0])}
            args = {json.dumps(MCP[1:])}
            default_tools_approval_mode = "approve"
        """
        place.write(".codex/config.toml", settings)
        place.write(".codex/rules/default.rules", 'prefix_rule(pattern=["rm"], decision="forbidden")\n')

    def command(self, place: Place, prompt: str, resume: "str | None") -> list[str]:
        """Returns the command line."""
        flags = ["--skip-git-repo-check", "--json", "--dangerously-bypass-hook-trust", "-s", "danger-full-access"]
        return ["exec", *flags, *(["resume", resume] if resume else []), prompt]

    def env(self, url: str) -> dict[str, str]:
        """Returns the variable that the settings name."""
        return {"FAKE_KEY": "x"}

    def shell(self, command: str) -> Ask:
        """Returns a call that runs a command."""
        return Ask("exec_command", {"cmd": command})

    def read(self, place: Place) -> Ask:
        """Returns a call that reads a picture: Codex reads no text but with commands."""
        return Ask("view_image", {"path": str(place.work / "a.png")})

    def read_failed(self, place: Place) -> Ask:
        """Returns a call that reads a picture that is none. No hook is told after it."""
        return Ask("view_image", {"path": str(place.work / "a.txt")})

    def mcp(self, tool: str, text: str) -> Ask:
        """Returns a call of the MCP server."""
        return Ask(tool, {"text": text}, "mcp__tiny")

    def unpermitted(self, place: Place) -> Ask:
        """Returns a command for which Codex would ask a person, because it is to leave the sandbox."""
        args = {"cmd": "touch asked.txt", "sandbox_permissions": "require_escalated", "justification": "why"}
        return Ask("exec_command", args)

    def agent(self, prompt: str) -> Ask:
        """Returns a call that starts a sub-agent, which goes on when the call has ended."""
        return Ask("spawn_agent", {"message": prompt}, "multi_agent_v1")

    def after_agent(self) -> list[Turn]:
        """Waits until the sub-agent has ended; otherwise the end of the session ends it."""
        return [lambda results: [self.wait(json.loads(results[0])["agent_id"])]]

    def wait(self, agent: str) -> Ask:
        """Returns the call that waits for a sub-agent."""
        return Ask("wait_agent", {"targets": [agent]}, "multi_agent_v1")

    def recorded(self, ask: Ask) -> "tuple[str, Json]":
        """Hooks call the shell `Bash` and tell only its command; all names are those in the events."""
        if ask.name == "exec_command":
            return "Bash", {"command": ask.args["cmd"]} if "cmd" in ask.args else ask.args
        space = {"mcp__tiny": "mcp__tiny__", "multi_agent_v1": "multi_agent_v1"}.get(ask.namespace, "")
        return ask.name if ask.name == "spawn_agent" else space + ask.name, ask.args


class Gemini(Client):
    """Gemini CLI. Nothing in its events tells the calls of a sub-agent from others."""

    name = "gemini"
    program = "gemini"
    events = ("BeforeTool", "AfterTool", "AfterAgent", "SessionStart", "SessionEnd")
    before = "BeforeTool"
    hooks_file = ".gemini/settings.json"
    files = ".gemini/tmp"
    tells_agent = False
    compact = "/compress"

    def hook(self, event: str, command: str) -> list[Json]:
        """Returns one hook of an event; the time is in milliseconds."""
        return [{"hooks": [{"type": "command", "command": command, "timeout": 5000}]}]

    def refusal(self) -> Json:
        """Returns what a hook prints to refuse a call."""
        return {"decision": "deny", "reason": OTHER_REASON}

    def settings(self, place: Place, url: str) -> None:
        """Denies a command, and would ask a person before files are written."""
        servers = {"tiny": {"command": MCP[0], "args": MCP[1:], "trust": True}}
        security = {"auth": {"selectedType": "gemini-api-key"}}
        place.write(".gemini/settings.json", {"mcpServers": servers, "security": security})
        rules = """
            [[rule]]
            toolName = "run_shell_command"
            commandPrefix = "rm"
            decision = "deny"
            priority = 900
            [[rule]]
            toolName = "write_file"
            decision = "ask_user"
            priority = 900
        """
        place.write(".gemini/policies/rules.toml", rules)

    def command(self, place: Place, prompt: str, resume: "str | None") -> list[str]:
        """Returns the command line."""
        flags = ["-m", "gemini-2.5-flash", "--skip-trust", "--approval-mode", "yolo"]
        return ["-p", prompt, *flags, *(["--resume", resume] if resume else [])]

    def env(self, url: str) -> dict[str, str]:
        """Returns the variables of the model."""
        return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "x"}

    def shell(self, command: str) -> Ask:
        """Returns a call that runs a command."""
        return Ask("run_shell_command", {"command": command, "description": "a command"})

    def read(self, place: Place) -> Ask:
        """Returns a call that reads a file."""
        return Ask("read_file", {"file_path": str(place.work / "a.txt")})

    def mcp(self, tool: str, text: str) -> Ask:
        """Returns a call of the MCP server."""
        return Ask(f"mcp_tiny_{tool}", {"text": text})

    def unpermitted(self, place: Place) -> Ask:
        """Returns a call that a rule lets a person decide."""
        return Ask("write_file", {"file_path": str(place.work / "asked.txt"), "content": "x"})

    def agent(self, prompt: str) -> Ask:
        """Returns a call that starts a sub-agent and waits for it."""
        return Ask("invoke_agent", {"agent_name": "generalist", "prompt": prompt})


class Copilot(Client):
    """Copilot CLI. Each program has a file of its own for its hooks."""

    name = "copilot"
    program = "copilot"
    events = (
        "preToolUse", "postToolUse", "postToolUseFailure", "agentStop", "subagentStop", "sessionStart", "sessionEnd",
    )  # fmt: skip
    before = "preToolUse"
    hooks_file = ".copilot/hooks/other.json"
    files = ".copilot/session-state"
    session = "sessionId"
    tells_server = False
    compact = "/compact"
    # On a busy machine it does, after it has written the session file.
    stays_after_compact = True

    def is_kept(self, place: Place, text: str) -> bool:
        """Reads the session file, which is written some time after the call has begun."""
        files = place.home.glob(".copilot/session-state/*/events.jsonl")
        return any(text in file.read_text("utf-8", "replace") for file in files)

    def hook(self, event: str, command: str) -> list[Json]:
        """Returns one hook of an event."""
        return [{"type": "command", "bash": command, "timeoutSec": 5}]

    def refusal(self) -> Json:
        """Returns what a hook prints to refuse a call."""
        return {"permissionDecision": "deny", "permissionDecisionReason": OTHER_REASON}

    def settings(self, place: Place, url: str) -> None:
        """Writes the settings of the MCP server; the rules are flags. A file of hooks has a version."""
        place.write(self.hooks_file, {"version": 1})
        server = {"type": "local", "command": MCP[0], "args": MCP[1:], "tools": ["*"]}
        place.write(".copilot/mcp-config.json", {"mcpServers": {"tiny": server}})

    def command(self, place: Place, prompt: str, resume: "str | None") -> list[str]:
        """Returns the command line, which allows all tools in the folder of the work, and denies a command."""
        rules = ["--allow-all-tools", "--deny-tool", "shell(rm:*)"]
        return ["-p", prompt, *rules, *([f"--resume={resume}"] if resume else [])]

    def env(self, url: str) -> dict[str, str]:
        """Returns the variables of the model."""
        return {
            "COPILOT_PROVIDER_BASE_URL": url, "COPILOT_PROVIDER_TYPE": "anthropic", "COPILOT_PROVIDER_API_KEY": "x",
            "COPILOT_MODEL": "fake", "COPILOT_OFFLINE": "true",
        }  # fmt: skip

    def shell(self, command: str) -> Ask:
        """Returns a call that runs a command."""
        return Ask("bash", {"command": command, "description": "a command"})

    def read(self, place: Place) -> Ask:
        """Returns a call that reads a file."""
        return Ask("view", {"path": str(place.work / "a.txt")})

    def mcp(self, tool: str, text: str) -> Ask:
        """Returns a call of the MCP server."""
        return Ask(f"tiny-{tool}", {"text": text})

    def unpermitted(self, place: Place) -> Ask:
        """Returns a call that looks outside of the folder of the work."""
        return Ask("view", {"path": str(place.outside)})

    def agent(self, prompt: str) -> Ask:
        """Returns a call that starts a sub-agent and waits for it."""
        args = {"name": "sub", "description": "a sub-agent", "prompt": prompt, "agent_type": "task", "mode": "sync"}
        return Ask("task", args)


CLIENTS: dict[str, Client] = {client.name: client for client in (ClaudeCode(), Codex(), Gemini(), Copilot())}
