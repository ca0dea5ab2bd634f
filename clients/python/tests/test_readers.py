"""Tests of reading the newest entries from files that the service and the seed wrote."""

import json
import os
import tempfile
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, List, Optional
from unittest import mock

import support

from tooltrail import TrailError, read_recent, read_recent_all_users
from tooltrail import _files
from tooltrail._folders import folder_of, folders_of, user_of
from tooltrail._instant import instant

NOW = datetime.now(timezone.utc)
TODAY = NOW.date()


def day(back: int) -> str:
    return (TODAY - timedelta(days=back)).isoformat()


def entry(ts: str, tool: str = "t", user: str = "alice", **more: Any) -> str:
    seven = {"ts": ts, "user": user, "tool": tool, "args": {}, "status": "ok", "result_chars": 0, "result_snippet": ""}
    return json.dumps({**seven, **more}, ensure_ascii=False, separators=(",", ":")) + "\n"


class Home(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name) / "home"
        self.home.mkdir()
        patch = mock.patch.dict(os.environ, {"TOOLTRAIL_HOME": str(self.home), "TOOLTRAIL_ZONE": "UTC"})
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, folder: str, date: str, text: "str | bytes") -> Path:
        path = self.home / folder / "tool_audit" / f"{date}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def tools(self, user: Optional[str] = "alice", **more: int) -> List[str]:
        entries = read_recent_all_users(**more) if user is None else read_recent(user, **more)
        return [entry["tool"] for entry in entries]


class Reading(Home):
    def test_newest_first_within_days_and_limit(self) -> None:
        for back in range(9):
            self.write("alice", day(back), "".join(entry(f"{day(back)}T0{n}:00:00.000Z", f"{back}.{n}") for n in range(3)))
        expected = [f"{back}.{n}" for back in range(9) for n in (2, 1, 0)]
        self.assertEqual(self.tools(), expected[:21])
        self.assertEqual(self.tools(days=2), expected[:6])
        self.assertEqual(self.tools(days=99, limit=4), expected[:4])
        self.assertEqual(self.tools(days=99, limit=1_000), expected)
        self.assertEqual(self.tools(days=10**9, limit=1_000), expected)
        self.assertEqual((self.tools(limit=0), self.tools(days=0), self.tools(user="bob")), ([], [], []))

    def test_what_is_no_entry_is_left_out(self) -> None:
        good = [entry(f"{day(0)}T00:00:0{n}.000Z", f"{n}") for n in range(5)]
        nul = entry(f"{day(0)}T00:00:09.000Z").replace("alice", "al\0ce")
        lines = [
            "\ufeff" + good[0], "\n", "nonsense\n", good[1].replace("\n", "\r\n"), "[1]\n", '{"ts":1}\n', "[" * 99_999 + "\n",
            entry("yesterday"), entry(f"{day(0)}T25:00:00Z"), good[2], nul, "\0" * 50 + "\n",
            f'{{"ts":"{day(0)}T00:00:00.000Z","tool":"x"}}\n', good[3].strip() + good[3], good[4],
            good[0].strip().replace('"0"', '"torn"'),
        ]
        self.write("alice", day(0), b"\xff\xfe\n" + "".join(lines[1:]).encode())
        self.assertEqual(self.tools(), ["4", "2", "1"])
        self.write("alice", day(0), "".join(lines))
        self.assertEqual(self.tools(), ["4", "2", "1", "0"])

    def test_numbers_that_json_cannot_write_again_stay_as_text(self) -> None:
        line = entry(f"{day(0)}T00:00:00.000Z").replace('"args":{}', '"args":{"a":NaN,"b":1e999,"c":%s,"d":1.5}' % ("9" * 5_000))
        self.write("alice", day(0), line)
        args = read_recent("alice")[0]["args"]
        self.assertEqual((args["a"], args["b"], args["d"]), ("NaN", "1e999", 1.5))
        # Not every Python version limits the digits of an integer.
        self.assertIn(args["c"], ("9" * 5_000, 10**5_000 - 1))

    def test_lines_out_of_order_are_put_in_order(self) -> None:
        stamps = ["00:00:30", "00:00:10", "00:00:50", "00:00:20", "00:00:49.999"]
        self.write("alice", day(0), "".join(entry(f"{day(0)}T{ts}Z", ts) for ts in stamps))
        self.write("%41lice", day(0), entry(f"{day(0)}T00:00:40Z", "40", user="Alice"))
        ordered = ["00:00:50", "00:00:49.999", "00:00:30", "00:00:20", "00:00:10"]
        self.assertEqual(self.tools(), ordered)
        self.assertEqual(self.tools(limit=2), ordered[:2])
        self.assertEqual(self.tools(None), ordered[:2] + ["40"] + ordered[2:])
        # If two lines have the same instant, the later line is the newer one.
        self.write("alice", day(0), "".join(entry(f"{day(0)}T00:00:00Z", tool) for tool in "abc"))
        self.assertEqual(self.tools(), ["c", "b", "a"])

    def test_naive_times_are_in_the_zone_and_shown_as_they_stand(self) -> None:
        self.write("Alice", day(1), entry(f"{day(1)}T23:30:00", "seed"))
        ours = entry(f"{day(1)}T13:00:00.000Z", "ours"), entry(f"{day(1)}T13:40:00.000Z", "later")
        self.write("%41lice", day(1), "".join(ours))
        with mock.patch.dict(os.environ, {"TOOLTRAIL_ZONE": "Asia/Tokyo"}):
            # 14:30 UTC
            self.assertEqual(self.tools("Alice"), ["seed", "later", "ours"])
            self.assertEqual(read_recent("Alice")[0]["ts"], f"{day(1)}T23:30:00")
        with mock.patch.dict(os.environ, {"TOOLTRAIL_ZONE": "Pacific/Kiritimati"}):
            # 09:30 UTC
            self.assertEqual(self.tools("Alice"), ["later", "ours", "seed"])
        with mock.patch.dict(os.environ, {"TOOLTRAIL_ZONE": "America/New_York"}):
            # After midnight in UTC: the file of the day before is read as well.
            self.assertEqual(self.tools("Alice", days=1), ["seed"])
        with mock.patch.dict(os.environ, {"TOOLTRAIL_ZONE": "Nowhere/Land"}):
            self.assertRaises(TrailError, read_recent, "alice")

    def test_both_spellings_of_a_folder_are_one_user(self) -> None:
        self.write("%41lice", day(0), entry(f"{day(0)}T00:00:01Z", "ours", "Alice"))
        self.write("Alice", day(0), entry(f"{day(0)}T00:00:02Z", "seed", "Alice"))
        self.write("alice", day(0), entry(f"{day(0)}T00:00:03Z", "other"))
        self.assertEqual(self.tools("Alice"), ["seed", "ours"])
        self.assertEqual(self.tools("alice"), ["other"])
        # If a folder name is the encoding of another id, the folder does not belong to the user of that name.
        self.assertEqual(self.tools("%41lice"), [])
        for hostile in ("../home/alice", "/", "", ".", "..", ".tooltrail", "a\0b", "a/b", "a\ud800", "x" * 5_000):
            self.assertEqual(self.tools(hostile), [])

    def test_links_devices_and_our_own_folder_are_skipped(self) -> None:
        real = self.write("alice", day(0), entry(f"{day(0)}T00:00:01Z", "real"))
        outside = self.home.parent / "outside"
        (outside / "tool_audit").mkdir(parents=True)
        (outside / "tool_audit" / f"{day(0)}.jsonl").write_text(entry(f"{day(0)}T00:00:02Z", "outside"))
        (self.home / "bob").symlink_to(outside)
        (self.home / "carol").mkdir()
        (self.home / "carol" / "tool_audit").symlink_to(outside / "tool_audit")
        (self.home / "dave" / "tool_audit").mkdir(parents=True)
        (self.home / "dave" / "tool_audit" / f"{day(0)}.jsonl").symlink_to(real)
        os.mkfifo(self.home / "dave" / "tool_audit" / f"{day(1)}.jsonl")
        (self.home / "dave" / "tool_audit" / f"{day(2)}.jsonl").mkdir()
        self.write(".tooltrail", day(0), entry(f"{day(0)}T00:00:03Z", "own"))
        (self.home / "file").write_text("")
        self.assertEqual(self.tools(None), ["real"])
        for user in ("bob", "carol", "dave", ".tooltrail", "file"):
            self.assertEqual(self.tools(user), [])

    def test_a_home_that_is_missing_or_newer_is_said_so(self) -> None:
        (self.home / ".tooltrail").mkdir()
        (self.home / ".tooltrail" / "format").write_text("1\n")
        self.assertEqual(self.tools(), [])
        (self.home / ".tooltrail" / "format").write_text("2\n")
        self.assertRaises(TrailError, read_recent, "alice")
        with mock.patch.dict(os.environ, {"TOOLTRAIL_HOME": str(self.home / "none")}):
            self.assertRaises(TrailError, read_recent_all_users)

    def test_the_newest_page_costs_the_page(self) -> None:
        lines = [entry(f"{day(0)}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000Z", str(n)) for n in range(80_000)]
        self.write("alice", day(0), "".join(lines))
        read: List[int] = []
        pread = os.pread

        def counted(descriptor: int, length: int, at: int) -> bytes:
            read.append(length)
            return pread(descriptor, length, at)

        with mock.patch.object(os, "pread", counted):
            self.assertEqual(self.tools(limit=200), [str(n) for n in range(79_999, 79_799, -1)])
        self.assertLess(sum(read), 200_000)


class Blocks(Home):
    def test_lines_come_whole_from_the_last_to_the_first(self) -> None:
        def check(text: bytes, line_bytes_max: int = _files.LINE_BYTES_MAX) -> None:
            self.write("alice", "2026-11-23", text)
            whole = text[: text.rfind(b"\n") + 1]
            expected, at = [], 0
            for line in whole.split(b"\n")[:-1]:
                if len(line) <= line_bytes_max:
                    expected.append((at, line))
                at += len(line) + 1
            with _files.opened_home(self.home) as home, mock.patch.object(_files, "LINE_BYTES_MAX", line_bytes_max):
                found = [line for block in _files.blocks(home, ("alice", "tool_audit", "2026-11-23.jsonl")) for line in block]
            self.assertTrue(found == expected[::-1], f"{text[:60]!r} of {len(text)}")

        long = b"x" * 1_000_000
        for text in (b"", b"a", b"\n", b"a\n", b"a\n\nbc\nd", b"a\n" + long + b"\nb\n", long + b"\n" + long, b"\n\n\n"):
            check(text)
        check(b"a\n" + long + b"\nb\n" + long + b"\nc\n", line_bytes_max=200_000)
        for length in range(_files.BLOCK_BYTES_FIRST - 3, _files.BLOCK_BYTES_FIRST + 3):
            check(b"a" * 10 + b"\n" + b"b" * length + b"\n")
            check(b"ab\n" * (length // 3) + b"c" * (length % 3) + b"\n")


class Names(unittest.TestCase):
    def test_folders_are_those_of_the_service(self) -> None:
        def check(user: str, folder: str) -> None:
            self.assertEqual(folder_of(user), folder)
            if "." not in folder:
                self.assertEqual(user_of(folder), user or None)

        check("alice_1-x", "alice_1-x")
        check("Alice", "%41lice")
        check("../x", "%2E%2E%2Fx")
        check("é", "%C3%A9")
        check("a b%", "a%20b%25")
        check("x" * 200, "x" * 200)
        self.assertTrue(folder_of("x" * 201).startswith("x" * 100 + "."))
        self.assertTrue(folder_of("x" * 99 + "É" * 60).startswith("x" * 99 + "."))
        self.assertTrue(folder_of("x" * 98 + "É" * 60).startswith("x" * 98 + "."))
        self.assertTrue(folder_of("x" * 97 + "É" * 60).startswith("x" * 97 + "%C3."))
        for name in ("Alice", "%41", "%c3%a9", "%C3", "a.b", "", "%5F", "x" * 201):
            # `%41` is the encoding of "A".
            self.assertEqual(user_of(name), "A" if name == "%41" else None)
        self.assertEqual(folders_of("_system", list), ["%5Fsystem", "_system"])
        redacted, keyed = "a[redacted:x]", f"{folder_of('a[redacted:x]')}.0123456789abcdef"
        self.assertEqual(set(folders_of(redacted, lambda: ["b", keyed])), {redacted, folder_of(redacted), keyed})

    def test_times_are_read_as_the_service_reads_them(self) -> None:
        def check(ts: str, expected: Optional[int]) -> None:
            self.assertEqual(instant(ts, timezone(timedelta(hours=1))), expected, ts)

        check("1970-01-01T00:00:01.9999Z", 1_999)
        check("1970-01-02T00:00:00Z", 86_400_000)
        check("1970-01-02 00:00:00", 82_800_000)
        check("1970-01-02T01:00:00.5+01:30", 84_600_500)
        check("1970-01-02T01:00-0100", 93_600_000)
        check("2016-12-31T23:59:60Z", 1_483_228_799_000)
        for bad in ("", "1970-01-01", "1970-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Zx", "٠970-01-01T00:00Z"):
            check(bad, None)


if __name__ == "__main__":
    unittest.main()
