"""Tests that calls reach the day files of the real service."""

import asyncio
import concurrent.futures
import contextvars
import json
import multiprocessing
import os
import time
import unittest
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple
from unittest import mock

from support import Entry, WithTrail, wait_until

from tooltrail import _encode, _record, audited, current_user, flush, read_recent, read_recent_all_users, record
from tooltrail._post import Connection
from tooltrail._sender import Sender


class Own(WithTrail):
    """Gives each test its own sender, as in a new process."""

    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.object(_record, "_sender", Sender(Connection()))
        patch.start()
        self.addCleanup(patch.stop)

    def recorded(self) -> List[Entry]:
        self.assertTrue(flush(30))
        return self.trail.entries()


class Recording(Own):
    def test_a_call_becomes_an_entry(self) -> None:
        began = datetime.now(timezone.utc)
        asyncio.run(_wait_for(record("alice", "fs.read", {"path": "a", "password": "hunter2 is secret"}, "ok", "text ✓")))
        [entry] = self.recorded()
        expected = {"user": "alice", "tool": "fs.read", "status": "ok", "result_chars": 6, "result_snippet": "text ✓",
                    "via": "http", "identity": "claimed"}
        self.assertEqual({name: entry.get(name) for name in expected}, expected)
        self.assertEqual(entry["args"]["path"], "a")
        self.assertNotIn("hunter2", str(entry))
        self.assertNotIn("extra", entry)
        ts = datetime.strptime(entry["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        self.assertLess(abs((ts - began).total_seconds()), 5)
        self.assertEqual(read_recent("alice"), [entry])
        self.assertIn(entry, read_recent_all_users())

    def test_ten_thousand_calls(self) -> None:
        async def main() -> None:
            tasks = [asyncio.create_task(record("alice", "t", {"n": n}, "ok", "r")) for n in range(10_000)]
            await asyncio.gather(*tasks)

        asyncio.run(main())
        self.assertEqual(sorted(entry["args"]["n"] for entry in self.recorded()), list(range(10_000)))
        newest = read_recent("alice", limit=300)
        self.assertEqual([entry["ts"] for entry in newest], sorted((entry["ts"] for entry in newest), reverse=True))
        self.assertEqual(len(newest), 300)
        stored = self.trail.run("recent", "--json", "--user", "alice", "--limit", "300").splitlines()
        self.assertEqual(newest, [json.loads(line) for line in stored])

    def test_nothing_raises_and_nothing_is_missing(self) -> None:
        class Hostile:
            def __repr__(self) -> str:
                raise RuntimeError("no")

        odd: List[Any] = [
            ("alice", "t", {"a": object()}, "ok", object()),
            ("alice", "t", {"a": {1, 2}, (1, 2): float("nan")}, "ok", {"a": b"\xff"}),
            ("alice", "t", Hostile(), "ok", Hostile()),
            ("alice", "t", None, "ok", None),
            ("alice", "t", [1], "denied", ""),
            ("alice", "t", "text", "error", ValueError("x")),
            ("", "t", {}, "ok", ""),
            (None, None, {}, None, None),
            (Hostile(), Hostile(), {}, Hostile(), Hostile()),
            ("../../etc/passwd\0", "a\nb", {"k": "\ud800"}, "ok", "\udfff"),
            ("a\ud800", "t", {"b": 10**400}, "ok", float("inf")),
            ("alice", "t", {"a": "x" * 3_000_000}, "ok", "y" * 3_000_000),
        ]
        for call in odd:
            record(*call).close()
        entries = self.recorded()
        self.assertEqual(len(entries), len(odd))
        self.assertEqual(_record._sender.unsent(), 0)
        self.assertEqual(max(entry["result_chars"] for entry in entries), 3_000_000)
        self.assertEqual(len(read_recent("a\ud800")), 1)
        self.assertEqual(len(read_recent("../../etc/passwd\0")), 1)
        self.assertEqual(len(read_recent("unknown")), 2)
        self.assertEqual(len(read_recent_all_users()), len(odd) + 1, "and the service's start")

    def test_a_task_that_never_runs_is_recorded_as_it_was(self) -> None:
        args: Dict[str, Any] = {"a": 1}

        async def main() -> None:
            for _ in range(100):
                asyncio.create_task(record("alice", "t", args, "ok"))
            args["a"] = 2

        asyncio.run(main())
        self.assertEqual([entry["args"] for entry in self.recorded()], [{"a": 1}] * 100)

    def test_loops_and_threads_come_and_go(self) -> None:
        def work(n: int) -> None:
            for _ in range(5):
                asyncio.run(_wait_for(record("alice", "t", {"n": n}, "ok")))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(20)))
        self.assertEqual(len(self.recorded()), 100)

    def test_recording_does_not_wait(self) -> None:
        self.trail.stop()
        began = time.perf_counter()
        for n in range(1_000):
            record("alice", "t", {"n": n}, "ok", "r").close()
        self.assertLess(time.perf_counter() - began, 1)
        self.trail.start()
        self.assertEqual(len(self.recorded()), 1_000)


class Outages(Own):
    def test_a_service_that_comes_back_gets_everything_once_and_in_order(self) -> None:
        for n in range(10):
            record("alice", "t", {"n": n}, "ok").close()
        self.assertTrue(flush(30))
        self.trail.stop()
        with self.assertLogs("tooltrail", "WARNING") as logged:
            for n in range(10, 1_500):
                record("alice", "secret-tool", {"n": n}, "ok").close()
            wait_until(lambda: logged.output, "a warning")
        self.assertNotIn("secret-tool", str(logged.output))
        self.trail.start()
        self.assertEqual([entry["args"]["n"] for entry in self.recorded()], list(range(1_500)))

    def test_what_overflows_is_in_the_trail_as_a_gap_of_that_count(self) -> None:
        self.trail.stop()
        bound = 700
        with mock.patch.object(_record, "_sender", Sender(Connection(), entries_max=bound)):
            for n in range(bound + 321):
                record("alice", "t", {"n": n}, "ok").close()
            self.trail.start()
            self.assertTrue(flush(30))
            wait_until(self.trail.gaps, "a gap")
            self.assertEqual(_record._sender.unsent(), 0)
        self.assertEqual(self.trail.gaps(), 321)
        calls = [entry["args"]["n"] for entry in self.trail.entries() if entry["tool"] == "t"]
        self.assertEqual(calls, list(range(bound)))

    def test_a_token_made_later_is_taken(self) -> None:
        with mock.patch.dict(os.environ, {"TOOLTRAIL_TOKEN": "wrong"}):
            with self.assertLogs("tooltrail", "WARNING") as logged:
                record("alice", "t", {}, "ok").close()
                wait_until(lambda: logged.output, "a warning")
            self.assertIn("TOOLTRAIL_TOKEN", logged.output[0])
        os.environ["TOOLTRAIL_TOKEN"] = self.trail.ingest
        self.assertEqual(len(self.recorded()), 1)


class Exits(WithTrail):
    def test_the_end_of_a_process_sends_what_is_queued(self) -> None:
        program = """
import asyncio, tooltrail
async def main():
    for n in range(2_000):
        asyncio.create_task(tooltrail.record("alice", "t", {"n": n}, "ok"))
asyncio.run(main())
"""
        ended = self.python(program)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertEqual([entry["args"]["n"] for entry in self.trail.entries()], list(range(2_000)))

    def test_an_exception_and_an_exit_code_end_it_in_the_same_way(self) -> None:
        for ending in ("raise ValueError('x')", "raise SystemExit(3)", "import sys; sys.exit(0)"):
            self.python(f"import tooltrail; tooltrail.record('alice', 't', {{}}, 'ok').close(); {ending}")
        self.assertEqual(len(self.trail.entries()), 3)

    def test_what_is_recorded_while_the_process_ends_is_sent(self) -> None:
        program = """
import tooltrail, atexit
atexit.register(lambda: tooltrail.record("alice", "t", {}, "ok").close())
"""
        self.assertEqual(self.python(program).stderr, "")
        self.assertEqual(len(self.trail.entries()), 1)

    def test_an_end_without_a_service_takes_five_seconds_at_most_and_says_what_is_lost(self) -> None:
        self.trail.stop()
        began = time.monotonic()
        ended = self.python("import tooltrail; [tooltrail.record('a', 't', {}, 'ok').close() for _ in range(3)]")
        took = time.monotonic() - began
        self.assertEqual(ended.returncode, 0)
        self.assertIn("3 calls are not in the trail", ended.stderr)
        self.assertTrue(4.5 < took < 8, f"{took:.1f} s")

    @unittest.skipUnless(hasattr(os, "fork"), "this system does not fork")
    def test_a_forked_process_sends_its_own_calls_and_no_others(self) -> None:
        program = """
import os, sys, time, tooltrail
def call(who, n): tooltrail.record(who, "t", {"n": n}, "ok").close()
call("parent", 0)
tooltrail.flush()
for n in range(1, 300): call("parent", n)
child = os.fork()
if not child:
    for n in range(300): call("child", n)
    sys.exit(0)
for n in range(300, 600): call("parent", n)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        ended = self.python(program.replace("import os", "import warnings; warnings.simplefilter('ignore'); import os", 1))
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        calls = sorted((entry["user"], entry["args"]["n"]) for entry in self.trail.entries())
        self.assertEqual(calls, [*(("child", n) for n in range(300)), *(("parent", n) for n in range(600))])

    def test_processes_of_multiprocessing_send_theirs(self) -> None:
        for method in multiprocessing.get_all_start_methods():
            with self.subTest(method):
                program = f"""
import multiprocessing, sys, tooltrail, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {os.path.dirname(__file__)!r})
import child
if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=child.work, args=({method!r},))
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""
                ended = self.python(program)
                self.assertEqual((ended.returncode, ended.stderr), (0, ""))
                self.assertEqual(len(read_recent(method)), 100)


class Audited(Own):
    def one(self) -> Entry:
        [entry] = self.recorded()
        return entry

    def check(self, expected: Dict[str, Any]) -> None:
        entry = self.one()
        self.assertEqual({name: entry.get(name) for name in expected}, expected)
        self.assertGreaterEqual(entry["duration_ms"], 0)

    def test_a_function_that_returns(self) -> None:
        @audited
        def add(a: int, b: int = 2, *rest: int, **more: int) -> int:
            """Adds."""
            return a + b + sum(rest) + sum(more.values())

        self.assertEqual(add(1, 2, 3, c=4), 10)
        self.assertEqual((add.__name__, add.__doc__), ("add", "Adds."))
        self.check({"user": "unknown", "tool": "add", "args": {"a": 1, "b": 2, "rest": [3], "c": 4}, "status": "ok",
                    "result_snippet": "10", "reason": None})

    def test_a_function_that_raises(self) -> None:
        class Tools:
            @audited(tool="fs.read")
            def read(self, path: str) -> str:
                raise FileNotFoundError(f"no {path}")

        with self.assertRaisesRegex(FileNotFoundError, "no x"):
            Tools().read(path="x")
        self.check({"tool": "fs.read", "args": {"path": "x"}, "status": "error", "reason": "tool_error",
                    "result_snippet": "FileNotFoundError: no x"})

    def test_arguments_that_do_not_fit(self) -> None:
        @audited("named")
        def one(a: int) -> int:
            return a

        with self.assertRaises(TypeError):
            one(1, 2, b=3)  # type: ignore[call-arg]
        self.check({"tool": "named", "args": {"args": [1, 2], "b": 3}, "status": "error", "reason": "invalid_args"})

    def test_arguments_are_recorded_as_they_were_given(self) -> None:
        @audited
        def grow(items: List[int]) -> None:
            items.append(2)

        grow([1])
        self.check({"args": {"items": [1]}, "status": "ok", "result_chars": 0})

    def test_a_coroutine_that_returns_or_raises(self) -> None:
        @audited
        async def work(fail: bool) -> Dict[str, int]:
            await asyncio.sleep(0.02)
            if fail:
                raise ValueError("bad")
            return {"n": 1}

        async def main() -> None:
            current_user.set("alice")
            self.assertEqual(await work(False), {"n": 1})
            with self.assertRaisesRegex(ValueError, "bad"):
                await work(True)

        contextvars.copy_context().run(asyncio.run, main())
        first, second = self.recorded()
        self.assertEqual((first["status"], first["result_snippet"], first["user"]), ("ok", '{"n":1}', "alice"))
        self.assertGreaterEqual(first["duration_ms"], 15)
        self.assertEqual((second["status"], second["reason"], second["result_snippet"]), ("error", "tool_error", "ValueError: bad"))

    def test_a_coroutine_that_is_cancelled(self) -> None:
        @audited
        async def wait(s: int) -> None:
            await asyncio.sleep(s)

        async def main() -> None:
            task = asyncio.create_task(wait(60))
            await asyncio.sleep(0.02)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.check({"args": {"s": 60}, "status": "error", "reason": "cancelled", "result_snippet": "CancelledError"})

    def test_a_coroutine_that_runs_out_of_time(self) -> None:
        @audited
        async def outer() -> None:
            await asyncio.wait_for(asyncio.sleep(60), 0.01)

        with self.assertRaises(asyncio.TimeoutError):
            asyncio.run(outer())
        self.check({"status": "error", "reason": "timeout"})

    def test_a_coroutine_that_is_dropped(self) -> None:
        @audited
        async def wait() -> None:
            await asyncio.sleep(60)

        coroutine = wait()
        loop = asyncio.new_event_loop()

        async def begin() -> None:
            coroutine.send(None)

        loop.run_until_complete(begin())
        coroutine.close()
        loop.close()
        self.check({"status": "error", "reason": "cancelled"})

    def test_a_function_that_returns_a_coroutine_ends_with_it(self) -> None:
        async def slow(n: int) -> int:
            await asyncio.sleep(0.02)
            return n

        def begin(n: int) -> Any:
            return slow(n)

        work = audited(tool="lambda")(begin)
        self.assertEqual(asyncio.run(work(5)), 5)
        self.check({"tool": "lambda", "args": {"n": 5}, "status": "ok", "result_snippet": "5"})
        self.assertGreaterEqual(self.one()["duration_ms"], 15)

    def test_users_of_concurrent_tasks_are_kept_apart(self) -> None:
        @audited
        async def who(name: str) -> None:
            await asyncio.sleep(0)

        async def session(name: str) -> None:
            current_user.set(name)
            for _ in range(10):
                await who(name)

        async def main() -> None:
            await asyncio.gather(*(session(f"user{n}") for n in range(20)))

        asyncio.run(main())
        entries = self.recorded()
        self.assertEqual(len(entries), 200)
        self.assertTrue(all(entry["user"] == entry["args"]["name"] for entry in entries))

    def test_an_interrupted_function_is_cancelled(self) -> None:
        @audited
        def stop() -> None:
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            stop()
        self.check({"status": "error", "reason": "cancelled"})

    def test_generators_are_refused_at_once(self) -> None:
        def generator() -> Any:
            yield 1

        async def asynchronous() -> Any:
            yield 1

        for function in (generator, asynchronous):
            self.assertRaises(TypeError, audited, function)


class Readers(WithTrail):
    def test_files_are_read_as_the_service_reads_them(self) -> None:
        def write(folder: str, name: str, lines: "List[str]") -> None:
            path = self.trail.home / folder / "tool_audit" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(line + "\n" for line in lines) + '{"torn')

        today = datetime.now(timezone.utc).date().isoformat()
        rest = '"args":{"é":[1,{"a":null}]},"status":"ok","result_chars":1,"result_snippet":"✓"'
        for folder, user in (("Bob", "Bob"), ("%42ob", "Bob"), ("alice", "alice"), ("a%20b", "a b")):
            stamps = [f"{today}T00:{n * 7 % 60:02}:{n % 60:02}" + ("" if folder == "Bob" else f".{n:03}Z") for n in range(300)]
            order = sorted(range(300), key=lambda n: stamps[n] if n % 17 else stamps[0])
            write(folder, f"{today}.jsonl", [f'{{"ts":"{stamps[n]}","user":"{user}","tool":"t{n}",{rest}}}' for n in order])
        for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
            with mock.patch.dict(os.environ, {"TOOLTRAIL_ZONE": zone}):
                questions: List[Tuple[Optional[str], int]]
                questions = [("Bob", 1_000), ("Bob", 37), ("alice", 200), ("a b", 1), (None, 1_000), (None, 500)]
                for asked, limit in questions:
                    named = ["--user", asked] if asked else []
                    stored = self.trail.run("recent", "--json", "--zone", zone, "--limit", str(limit), *named)
                    expected = [json.loads(line) for line in stored.splitlines()]
                    read = read_recent_all_users(limit=limit) if asked is None else read_recent(asked, limit=limit)
                    self.assertEqual(read, expected, (zone, asked, limit))
                    self.assertGreater(len(read), 0)


    def test_calls_that_arrive_hours_late_have_their_place(self) -> None:
        now = _encode.now_ms()
        sender = Sender(Connection())
        for minutes in (0, 300, 10, 200, 1, 301, *[0] * 50):
            sender.put(_encode.line("alice", f"t{minutes}", "{}", "ok", ts_ms=now - minutes * 60_000))
        self.assertTrue(sender.flush(30))
        for limit in (1, 51, 52, 56):
            stored = self.trail.run("recent", "--json", "--user", "alice", "--limit", str(limit))
            expected = [json.loads(line) for line in stored.splitlines()]
            self.assertEqual(read_recent("alice", limit=limit), expected)
        self.assertEqual([entry["tool"] for entry in expected[51:]], ["t1", "t10", "t200", "t300", "t301"])


async def _wait_for(awaitable: Any) -> None:
    await awaitable


if __name__ == "__main__":
    unittest.main()
