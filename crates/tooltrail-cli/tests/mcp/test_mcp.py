"""Real clients call real servers through `tooltrail mcp`: no byte changes, and the trail has each call as it was."""

import json
import os
import unittest
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from servers import NEW, OLD, World
from support import SESSION, USER, Played, Scenario, Tap

# The plans of the chosen tests, and their runs.
CHOSEN: "list[Plan]" = []
RUNS: "dict[Plan, tuple[Scenario, Future[tuple[Played, Played | None]]]]" = {}


@dataclass(frozen=True)
class Plan:
    """A scenario as far as it is known before the servers have their files: the one call with a number, or all."""

    client: str
    mode: str
    server: str
    number: "int | None" = None
    compared: bool = True

    def __str__(self) -> str:
        """Returns the end of the test's name."""
        parts = [self.client, self.mode, self.server, *([] if self.number is None else [str(self.number)])]
        return "_".join(parts).replace("-", "_")

    def scenario(self, world: World) -> Scenario:
        """Returns the scenario with the servers of this run."""
        server = world.servers[self.server]
        calls = server.calls if self.number is None else [server.calls[self.number]]
        # Of two proxies, each chooses its session itself.
        session = [] if self.starts() == 2 else ["--session", SESSION]
        # Each durability has its turn; Python's is the default.
        durability = {"sdk1": "strict", "sdk2": "buffered", "inspector": "grouped"}.get(self.client)
        flags = [*session, *(["--durability", durability] if durability else [])]
        compared = self.compared and server.deterministic
        return Scenario(self.client, self.mode, self.server, server, calls, compared, flags)

    def starts(self) -> int:
        """How often the client starts the command.

        Except in `legacy`, the SDK 2 starts it once to ask for the versions, ends it, and starts it again.
        """
        return 2 if self.client == "sdk2" and self.mode != "legacy" else 1


def plans() -> list[Plan]:
    """Returns every client against every server, in each mode in which the two can talk."""
    found = []
    for name in OLD + NEW:
        for client in ("python", "sdk2"):
            for mode in ("legacy", "auto", "2026-07-28") if name in NEW else ("legacy", "auto"):
                found.append(Plan(client, mode, name))
        found.append(Plan("sdk1", "legacy", name))
    # A server that refuses to fetch from this machine fails the same way for each client.
    found += [Plan("python", mode, "fetch-guarded") for mode in ("legacy", "2026-07-28")]
    # The inspector makes one call in each run. The servers `everything` and `filesystem` ask it for its roots at a
    # moment that depends on the speed of the machine: these runs are not compared with runs without tooltrail.
    found += [Plan("inspector", "legacy", "everything", number, compared=False) for number in (2, 5)]
    found += [Plan("inspector", "legacy", "filesystem", 2, compared=False)]
    found += [Plan("inspector", "legacy", "git", number) for number in (1, 2)]
    return sorted(found, key=str)


def sent_calls(tap: Tap) -> "list[tuple[dict[str, Any], dict[str, Any], str]]":
    """Returns each call in a transcript: request, answer, and the name and version that the client sent."""
    sent, got = tap.messages()
    # A request of the server may have the same id as one of the client, so that only answers count.
    answers = {message["id"]: message for message in got if "method" not in message}
    hello = next((message["params"]["clientInfo"] for message in sent if message.get("method") == "initialize"), None)
    found = []
    for message in sent:
        if message.get("method") == "tools/call":
            info = hello or message["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]
            found.append((message, answers[message["id"]], f"{info['name']}/{info['version']}"))
    return found


def text(result: dict[str, Any]) -> str:
    """Returns the first text of a result."""
    return str(next(part["text"] for part in result["content"] if part["type"] == "text"))


class Mcp(unittest.TestCase):
    """One test for each plan, named after it; they are added below."""

    maxDiff = None

    def check(self, plan: Plan) -> None:
        """Checks one run, which the pool has begun or will begin."""
        scenario, run = RUNS[plan]
        proxied, direct = run.result()
        self.transparent(plan, proxied, direct)
        self.recorded(scenario, proxied)

    def transparent(self, plan: Plan, proxied: Played, direct: "Played | None") -> None:
        """What enters tooltrail leaves it, and client, server and exit codes are as they are without it."""
        self.assertEqual((len(proxied.outer), len(proxied.inner)), (plan.starts(),) * 2)
        for outer, inner in zip(proxied.outer, proxied.inner):
            self.assertEqual(outer.digests(), inner.digests(), outer.errors)
            if not outer.signals:
                self.assertEqual(outer.code, inner.code, outer.errors)
        if direct is not None:
            self.assertEqual([tap.digests() for tap in proxied.outer], [tap.digests() for tap in direct.outer])
            self.assertEqual(proxied.seen, direct.seen)
            # A proxy that does not end at the end of its input would be ended with a signal.
            self.assertEqual(proxied.outer[-1].signals, direct.outer[-1].signals)
            # tooltrail may say more on standard error than the server.
            for line in direct.outer[-1].errors.splitlines():
                self.assertIn(line, proxied.outer[-1].errors)

    def recorded(self, scenario: Scenario, played: Played) -> None:
        """Client, server and trail count the same calls, and agree about each."""
        calls = [call for tap in played.inner for call in sent_calls(tap)]
        counts = (len(scenario.calls), len(played.seen), len(calls), len(played.entries))
        errors = "".join(tap.errors for tap in played.outer)
        self.assertEqual(counts, (len(scenario.calls),) * 4, f"made, seen, arrived, recorded\n{errors}")
        for event in played.events:
            self.assertNotIn(event["tool"], ("tooltrail.gap", "tooltrail.incident"), event)

        for (tool, args), seen, (request, answer, client), entry in zip(
            scenario.calls, played.seen, calls, played.entries
        ):
            with self.subTest(tool=tool, args=args):
                self.assertEqual(request["params"]["name"], tool)
                arguments = request["params"]["arguments"]
                self.assertEqual(arguments, args)
                self.assertEqual((entry["tool"], entry["args"]), (tool, args))
                # As JSON, because Python takes 1, 1.0 and True for equal.
                self.assertEqual(*(json.dumps(each, sort_keys=True) for each in (entry["args"], arguments)))
                if "error" in answer:
                    message = answer["error"]["message"]
                    self.assertIn(message, seen["error"]["message"])
                    # The servers fail this way only if they do not have the tool.
                    self.assertEqual((entry["status"], entry["reason"]), ("error", "unknown_tool"))
                else:
                    message = text(answer["result"])
                    failed = answer["result"].get("isError", False)
                    self.assertEqual(text(seen["result"]), message)
                    self.assertEqual(seen["result"].get("isError", False), failed)
                    outcome = ("error", "tool_error") if failed else ("ok", None)
                    self.assertEqual((entry["status"], entry.get("reason")), outcome)
                begin = message[:300]
                self.assertEqual(entry["result_snippet"][: len(begin)], begin)
                self.assertGreaterEqual(entry["result_chars"], len(message))
                self.assertGreaterEqual(entry["duration_ms"], 0)
                self.assertEqual(
                    (entry["user"], entry["via"], entry["server"], entry["client"]),
                    (USER, "proxy", scenario.name, client),
                )
        self.assertEqual(len({UUID(entry["id"]) for entry in played.entries}), len(played.entries))
        [session] = {entry["session"] for entry in played.entries}
        self.assertTrue(session)
        if "--session" in scenario.flags:
            self.assertEqual(session, SESSION)


class Samples(unittest.TestCase):
    """The scenarios contain what they are for, whatever the servers of a later version do."""

    def test_every_kind_of_outcome_occurs(self) -> None:
        """Successes, failures of a tool and JSON-RPC errors, in both protocol versions."""
        kinds = set()
        for plan, (_, run) in RUNS.items():
            for seen in run.result()[0].seen:
                result = seen.get("result")
                kind = "protocol error" if result is None else "failure" if result.get("isError") else "success"
                kinds.add((plan.mode == "2026-07-28", kind))
        every = {(new, kind) for new in (False, True) for kind in ("success", "failure", "protocol error")}
        self.assertEqual(kinds, every)


def add_test(plan: Plan) -> None:
    """Adds the test of a plan to `Mcp`."""

    def test(self: Mcp) -> None:
        self.check(plan)

    test.__doc__ = f"The client {plan.client} in the mode {plan.mode} and the server {plan.server}."
    setattr(Mcp, f"test_{plan}", test)


for each in plans():
    add_test(each)


def flat(tests: "unittest.TestSuite | unittest.TestCase") -> "Iterator[unittest.TestCase]":
    """Returns the tests of a suite and of the suites in it."""
    if isinstance(tests, unittest.TestCase):
        yield tests
    else:
        for test in tests:
            yield from flat(test)


def load_tests(_loader: unittest.TestLoader, tests: unittest.TestSuite, _pattern: object) -> unittest.TestSuite:
    """Notes which tests were chosen on the command line, so that no other client is run."""
    chosen = {test.id().rpartition(".")[2] for test in flat(tests)}
    every = any(name for name in chosen if hasattr(Samples, name))
    CHOSEN.extend(plan for plan in plans() if every or f"test_{plan}" in chosen)
    return tests


def setUpModule() -> None:
    """Begins all runs, in the order in which the tests wait for them; the name is the one that unittest calls."""
    world = World()
    unittest.addModuleCleanup(world.close)
    # Most of a run is the start of its programs, so that one more run than there are processors keeps these busy.
    pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1)
    unittest.addModuleCleanup(pool.shutdown, cancel_futures=True)
    for plan in CHOSEN:
        scenario = plan.scenario(world)
        RUNS[plan] = scenario, pool.submit(scenario.both)
