"""Tests of questions to the real service, and of the errors for wrong questions."""

import os
import re
import unittest
from pathlib import Path
from unittest import mock

from support import WithTrail

import tooltrail
from tooltrail import TrailError, _encode, flush, query, query_all, record_now, stats


class Asking(WithTrail):
    def setUp(self) -> None:
        super().setUp()
        for number in range(25):
            record_now("alice" if number % 5 else "bob", "fs.read", {"n": number}, "ok" if number % 2 else "error", "r")
        self.assertTrue(flush(30))

    def test_pages_follow_one_another(self) -> None:
        page = query("tool=fs.*", limit=10)
        self.assertEqual((len(page.entries), page.complete), (10, True))
        older = query("tool=fs.*", limit=10, cursor=page.next)
        self.assertFalse({entry["id"] for entry in page.entries} & {entry["id"] for entry in older.entries})
        numbers = [entry["args"]["n"] for entry in query_all("tool=fs.*", limit=7)]
        self.assertEqual(sorted(numbers), list(range(25)))
        self.assertEqual({entry["user"] for entry in query_all(user="bob")}, {"bob"})
        self.assertEqual(query("tool=none").next, None)

    def test_counts(self) -> None:
        self.assertEqual(stats("tool=fs.*")["by_status"], {"ok": 12, "error": 13, "denied": 0})
        self.assertEqual(stats(user="bob")["total"], 5)

    def test_what_is_wrong_is_said(self) -> None:
        def check(word: str, text: str = "", **variables: str) -> None:
            with mock.patch.dict(os.environ, variables), self.assertRaisesRegex(TrailError, word):
                query(text)

        check("character", "tool:fs.read")
        check("READ_TOKEN is missing, mistyped or revoked", TOOLTRAIL_READ_TOKEN="wrong")
        check("may not read", TOOLTRAIL_READ_TOKEN=self.trail.ingest)
        check("cannot be reached", TOOLTRAIL_URL="http://127.0.0.1:1")
        check("no http:// or https:// in front", TOOLTRAIL_URL="127.0.0.1:7420")
        check("leads to something else", TOOLTRAIL_URL=self.trail.url + "/elsewhere")
        with self.assertRaisesRegex(TrailError, "days"):
            query(days=0)


class Telling(unittest.TestCase):
    def test_an_unknown_status_is_told_once_and_never_raises(self) -> None:
        with mock.patch.object(_encode, "_told_unknown_status", False), self.assertLogs("tooltrail", "WARNING") as told:
            for word in ("okay", "done", "ok"):
                _encode.line("alice", "t", "{}", word)
        self.assertEqual(len(told.output), 1, told.output)
        self.assertIn("ok, error and denied", told.output[0])

    def test_the_version_is_the_packages(self) -> None:
        project = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text("utf-8")
        self.assertEqual(re.findall(r'^version = "(.*)"$', project, re.MULTILINE), [tooltrail.__version__])


if __name__ == "__main__":
    unittest.main()
