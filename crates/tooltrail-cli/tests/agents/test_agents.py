"""Real coding agents with tooltrail's hook: the trail has each call once, as it was, and the agents do not notice."""

import json
import os
import shutil
import signal
import unittest
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

from clients import CLIENTS, OTHER_REASON, ClaudeCode, Client, Codex
from fake_model import Ask
from support import ENDLESS, USER, Expected, Played, Run, binary, raise_loopback

# The gate that denies all commands.
NO_SHELL = """
[gate]
[[gate.rules]]
name = "no-shell"
effect = "deny"
tools = ["Bash", "bash", "run_shell_command"]
"""

RUNS: "dict[tuple[str, str], Future[Played | None]]" = {}


def ok(ask: Ask) -> Expected:
    """A call that ends well."""
    return Expected(ask)


def failed(ask: Ask, reason: str = "tool_error") -> Expected:
    """A call that fails."""
    return Expected(ask, "error", reason)


def denied(ask: Ask, reason: str = "policy", rule: "str | None" = None) -> Expected:
    """A call that is refused."""
    return Expected(ask, "denied", reason, rule)


def turns(run: Run) -> list[list[Expected]]:
    """Returns the turns of a session with a call of every kind."""
    client, place = run.client, run.place
    found = [
        [ok(client.shell("echo out"))],
        [failed(client.shell("echo out; echo err >&2; exit 3"))],
        [ok(client.read(place))],
        # Clients may make such calls at the same time, and tell of the second one first.
        [ok(client.shell("sleep 0.3; echo one")), ok(client.shell("echo two"))],
        [ok(client.shell("echo same")), ok(client.shell("echo same"))],
        [ok(client.shell("echo same"))],
        [denied(client.shell("rm a.txt"))],
        [denied(client.mcp("kept", "a"), rule="no-kept")],
        [denied(client.shell("touch FORBIDDEN"), "hook")],
        [denied(client.mcp("ok", "FORBIDDEN"), "hook")],
        [failed(client.unknown(), "unknown_tool")],
        [failed(client.invalid(), "invalid_args")],
        [ok(client.mcp("ok", "héllo 😀"))],
        [failed(client.mcp("bad", "b"))],
        [failed(client.mcp("broken", "c"))],
    ]
    if (ask := client.unpermitted(place)) is not None:
        found.append([denied(ask)])
    if isinstance(client, ClaudeCode):
        found.append([denied(client.read_denied())])
    if isinstance(client, Codex):
        found.append([failed(client.read_failed(place))])
    return found


def session(run: Run) -> None:
    """A call of every kind, a sub-agent, a resumed session, and a summary in the place of the conversation."""
    client, model = run.client, run.model
    run.install()
    model.scripts["main"] = [*run.expect(turns(run)), [client.agent("PLAY:sub")]]
    model.scripts["main"] += [run.expect_made(turn) for turn in client.after_agent()]
    model.scripts["sub"] = run.expect([[Expected(client.shell("echo inside"), by_agent=client.tells_agent)]])
    run.expected += [ok(client.agent("PLAY:sub"))]
    model.scripts["again"] = run.expect([[ok(client.shell("echo again"))], [ok(client.shell("echo same"))]])
    run.start("PLAY:main")
    run.start("PLAY:again", resume=True)
    if client.compact:
        may_stay_when = (lambda: model.summaries > 0) if client.stays_after_compact else None
        run.start(client.compact, resume=True, may_stay_when=may_stay_when)
    else:
        # The turns of this script are so long that the client wants a summary.
        model.long, model.after_summary = {"before"}, "after"
        model.scripts["before"] = run.expect([[ok(client.shell("echo before"))]])
        model.scripts["after"] = run.expect([[ok(client.shell("echo after"))]])
        run.start("PLAY:before", resume=True)


def cancelled(run: Run) -> None:
    """Ctrl-C in a call; then the session is resumed."""
    run.install()
    endless = failed(run.client.shell(ENDLESS), run.client.cancelled)
    run.model.scripts["main"] = run.expect([[ok(run.client.shell("echo out"))], [endless]])
    run.model.scripts["again"] = run.expect([[ok(run.client.shell("unlink started; echo again"))]])
    run.start("PLAY:main", end_with=signal.SIGINT)
    run.start("PLAY:again", resume=True)


def killed(run: Run) -> None:
    """The client is killed in a call; then the session is resumed."""
    run.install()
    endless = failed(run.client.shell(ENDLESS), "interrupted")
    run.model.scripts["main"] = run.expect([[ok(run.client.shell("echo out"))], [endless]])
    run.model.scripts["again"] = run.expect([[ok(run.client.shell("echo again"))]])
    run.start("PLAY:main", end_with=signal.SIGKILL)
    (run.place.work / "started").unlink()
    run.start("PLAY:again", resume=True)


def removed(run: Run) -> None:
    """Somebody removes the binary and leaves the hooks: the client goes on."""
    program = run.place.root / "tooltrail"
    shutil.copy(binary(), program)
    run.install(program)
    program.unlink()
    run.model.scripts["main"] = [[run.client.shell("touch ran")], [run.client.mcp("ok", "a")]]
    run.start("PLAY:main")


def broken(run: Run) -> None:
    """The configuration cannot be read: the client goes on. Then it denies all commands, from that moment."""
    run.install()
    run.place.config.write_text("[gate\nwhat is this?", encoding="utf-8")
    (run.place.work / "no-shell.toml").write_text(NO_SHELL, encoding="utf-8")
    run.model.scripts["main"] = run.expect(
        [
            [ok(run.client.shell("touch ran; cp no-shell.toml tooltrail.toml"))],
            [denied(run.client.shell("touch ran-too"), rule="no-shell")],
            [ok(run.client.mcp("ok", "a"))],
        ]
    )
    run.start("PLAY:main")


SCENARIOS: dict[str, Callable[[Run], None]] = {
    "session": session, "cancelled": cancelled, "killed": killed, "removed": removed, "broken": broken,
}  # fmt: skip


def play(client: Client, scenario: str) -> "Played | None":
    """Plays a scenario; `None` if the client cannot run here."""
    if client.missing():
        return None
    with Run(client) as run:
        try:
            SCENARIOS[scenario](run)
            return run.played()
        except Exception as error:
            events = "\n".join(json.dumps(event) for event in run.sent())
            raise AssertionError("\n".join([f"{client.name}: {scenario}: {error}", *run.outputs, events])) from error


def as_expected(client: Client, expected: Expected) -> dict[str, Any]:
    """Returns what is compared of an entry, as it is expected."""
    tool, args = client.recorded(expected.ask)
    return {
        "tool": tool, "args": args, "status": expected.status, "reason": expected.reason, "rule": expected.rule,
        "agent": expected.by_agent, "server": "tiny" if client.tells_server and "tiny" in tool else None,
    }  # fmt: skip


def as_recorded(client: Client, entry: dict[str, Any]) -> dict[str, Any]:
    """Returns what is compared of an entry, as it is."""
    found = {name: entry.get(name) for name in ("tool", "args", "status", "reason", "rule", "server")}
    # The session file of Copilot tells the server, its events do not.
    return found | {"agent": bool(entry.get("agent")), **({} if client.tells_server else {"server": None})}


def lines(calls: list[dict[str, Any]]) -> str:
    """Returns calls as text, one in each line, in an order that does not depend on when they ended."""
    return "\n".join(sorted(json.dumps(call, sort_keys=True, ensure_ascii=False) for call in calls)) + "\n"


def skip(client: str, why: str) -> NoReturn:
    """Ends a test of a client that cannot run here, and says so in any case."""
    print(f"skipped: {client} ({why})", flush=True)
    raise unittest.SkipTest(why)


class Agents(unittest.TestCase):
    """One test for each client and scenario, named after them; they are added below."""

    maxDiff = None

    def check(self, client: Client, scenario: str) -> None:
        """Checks one run, which the pool has begun or will begin."""
        played = RUNS[client.name, scenario].result()
        if played is None:
            skip(client.name, client.missing() or "")
        with self.subTest("calls"):
            self.recorded(played)
        with self.subTest("fields"):
            self.complete(played)
        with self.subTest("settings"):
            self.assertTrue(played.uninstalled, "uninstalling does not give them back as they were")
        with self.subTest("import"):
            self.same_when_imported(played)
        with self.subTest("rest"):
            getattr(self, f"check_{scenario}", lambda _: None)(played)

    def recorded(self, played: Played) -> None:
        """The trail has the expected calls, each once, and nothing is lost."""
        expected = lines([as_expected(played.client, expected) for expected in played.expected])
        recorded = lines([as_recorded(played.client, entry) for entry in played.calls])
        events = "\n".join(json.dumps(event, ensure_ascii=False) for event in played.sent)
        self.assertMultiLineEqual(recorded, expected, f"\nthe events:\n{events}")
        self.assertEqual(played.lost, "")
        for event in played.own:
            self.assertNotIn(event["tool"], ("tooltrail.gap", "tooltrail.incident"), event)

    def complete(self, played: Played) -> None:
        """Each entry says who made the call in which session, and has its own ids."""
        for entry in played.calls:
            self.assertEqual((entry["user"], entry["via"], entry["session"]), (USER, "hook", played.session), entry)
            self.assertEqual(entry["client"].partition("/")[0], played.client.name)
            self.assertEqual("call_id" in entry, played.client.has_ids, entry)
        for name in ["id", "call_id"] if played.client.has_ids else ["id"]:
            self.assertEqual(len({entry[name] for entry in played.calls}), len(played.calls))

    def same_when_imported(self, played: Played) -> None:
        """Only what no hook has seen to its end is imported, and the statistics count each call once.

        The session file of Claude Code says of a call that Ctrl-C ended that a person refused it. No event says so, and
        a refusal is never counted as the same as something else.
        """
        if not played.client.has_ids:
            # Its hooks tell no ids, so the calls are recognised by session, tool and time. Nothing is interrupted in the
            # session files themselves, because they have not rested for a day.
            unseen = played.client.unseen if played.calls else len(played.imported)
            self.assertEqual(len(played.imported), unseen, f"{played.imported} {played.calls}")
            return
        cut = {entry.get("call_id") for entry in played.calls if entry.get("reason") == "interrupted"}
        seen = {entry["call_id"] for entry in played.calls if "call_id" in entry}
        files = {entry["call_id"]: entry["status"] for entry in played.imported}
        self.assertLessEqual(files.keys() & seen, cut)
        refused = sum(files.get(each) == "denied" for each in cut)
        if played.client.files:
            self.assertEqual(played.counted, len(seen | files.keys()) + refused)

    def check_session(self, played: Played) -> None:
        """Refused calls did not run, the model knows why, and there was a summary."""
        self.assertIn("a.txt", played.files)
        self.assertFalse({"FORBIDDEN", "asked.txt"} & played.files)
        self.assertTrue(played.was_told("of tooltrail's gate"))
        self.assertTrue(played.was_told(OTHER_REASON))
        self.assertTrue(played.summaries)

    def check_removed(self, played: Played) -> None:
        """The calls ran, and the client said nothing of the hook. Only the session files know of them."""
        self.assertIn("ran", played.files)
        self.assertTrue(played.was_told("ok: a"))
        self.assertNotIn("tooltrail", "".join(played.outputs))
        self.assertEqual(len(played.imported), 2 if played.client.files else 0)

    def check_broken(self, played: Played) -> None:
        """The first command ran, the second did not, and the model knows why."""
        self.assertIn("ran", played.files)
        self.assertNotIn("ran-too", played.files)
        self.assertTrue(played.was_told("of tooltrail's gate"))


def add_test(client: Client, scenario: str) -> None:
    """Adds the test of a client and a scenario to `Agents`."""

    def test(self: Agents) -> None:
        self.check(client, scenario)

    test.__doc__ = f"{client.name}: {SCENARIOS[scenario].__doc__}"
    setattr(Agents, f"test_{client.name.replace('-', '_')}_{scenario}", test)


for each in CLIENTS.values():
    for name in SCENARIOS:
        add_test(each, name)


class Others(unittest.TestCase):
    """Clients that no test can start."""

    def test_cursor(self) -> None:
        """Cursor has no package."""
        skip("cursor", "no package to install")


def flat(tests: "unittest.TestSuite | unittest.TestCase") -> "Iterator[unittest.TestCase]":
    """Returns the tests of a suite and of the suites in it."""
    if isinstance(tests, unittest.TestCase):
        yield tests
    else:
        for test in tests:
            yield from flat(test)


CHOSEN: set[str] = set()


def load_tests(_loader: unittest.TestLoader, tests: unittest.TestSuite, _pattern: object) -> unittest.TestSuite:
    """Notes which tests were chosen on the command line, so that no other client is run."""
    CHOSEN.update(test.id().rpartition(".")[2] for test in flat(tests))
    return tests


def setUpModule() -> None:
    """Begins all runs, in the order in which the tests wait for them; the name is the one that unittest calls."""
    raise_loopback()
    # Most of a run is the start of its programs, so that one more run than there are processors keeps these busy.
    pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1)
    unittest.addModuleCleanup(pool.shutdown, cancel_futures=True)
    for test in sorted(CHOSEN):
        for client in CLIENTS.values():
            scenario = test.removeprefix(f"test_{client.name.replace('-', '_')}_")
            if scenario in SCENARIOS:
                RUNS[client.name, scenario] = pool.submit(play, client, scenario)
