"""Tests that the README's examples run and do what the README says."""

import re
import unittest
from pathlib import Path

from support import WithTrail

from tooltrail import read_recent

README = Path(__file__).resolve().parent.parent / "README.md"


class Pasted(WithTrail):
    def test_every_example_runs(self) -> None:
        programs = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        expected = [[("add", "ok"), ("fs.read", "ok")], [("shell.run", "denied")], [("fs.write", "ok")], [("fs.read", "ok")], []]
        self.assertEqual(len(programs), len(expected))
        seen = 0
        printed = ""
        for program, calls in zip(programs, expected):
            ended = self.python(program)
            printed += ended.stdout
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), program)
            entries = read_recent("alice")
            recorded = [(entry["tool"], entry["status"]) for entry in entries[: len(entries) - seen]]
            self.assertEqual(recorded[::-1], calls, program)
            seen = len(entries)
        self.assertRegex(printed, r"Z fs.read ok\n")
        self.assertRegex(printed, r"\d+ \{'denied': 1, 'error': 0, 'ok': 4\}\n")


if __name__ == "__main__":
    unittest.main()
