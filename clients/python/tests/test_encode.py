"""Any call becomes one line of JSON."""

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import unittest
import uuid
from typing import Any, Dict

import support

from tooltrail import _encode


class Colour(enum.Enum):
    RED = "red"


class Status(str, enum.Enum):
    OK = "ok"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")


class HostileText(str):
    def __str__(self) -> str:
        raise RuntimeError("no")


@dataclasses.dataclass
class Point:
    x: int
    password: str


def line(*args: Any, **more: Any) -> Dict[str, Any]:
    encoded = _encode.line(*args, **more)
    assert encoded.endswith(b"\n") and encoded.count(b"\n") == 1, encoded
    parsed = json.loads(encoded.decode(), parse_constant=lambda word: 1 / 0)
    assert isinstance(parsed, dict)
    return parsed


class Values(unittest.TestCase):
    def test_every_value_is_json(self) -> None:
        def check(value: object, expected: object) -> None:
            self.assertEqual(json.loads(_encode.json_text(value)), expected)

        # Non-ASCII characters are not escaped, because the service counts the characters that are sent.
        self.assertEqual(_encode.json_text({"é": "✓\n"}), '{"é":"✓\\n"}')
        check({"a": [1, 2.5, None, True, "é\n\u2028"]}, {"a": [1, 2.5, None, True, "é\n\u2028"]})
        check((1, (2,)), [1, [2]])
        check({1: "a", None: "b"}, {"1": "a", "null": "b"})
        check({(1, 2): "a", "(1, 2)": "b"}, {"(1, 2)": "a", "(1, 2)'": "b"})
        check(float("nan"), "nan")
        check({"deep": [float("-inf"), 1.5]}, {"deep": ["-inf", 1.5]})
        check(b"ab\xff", "ab\\xff")
        check({3}, [3])
        check(datetime.date(2026, 11, 23), "2026-11-23")
        check(pathlib.Path("/a/b"), "/a/b")
        check(uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005")
        check(decimal.Decimal("1.10"), "1.10")
        check(Colour.RED, "red")
        check(Status.OK, "ok")
        check(Point(1, "x"), {"x": 1, "password": "x"})
        check(Hostile(), "<Hostile>")
        check({"a": Hostile(), "b": float("inf")}, {"a": "<Hostile>", "b": "inf"})
        check(HostileText("x"), "x")
        check(10**30, 10**30)
        check(object, repr(object))

    def test_what_never_ends_is_cut(self) -> None:
        cycle: Dict[str, Any] = {}
        cycle["a"] = cycle["b"] = [cycle, cycle]
        self.assertLess(len(_encode.json_text(cycle)), 1_000_000)
        deep: Any = 1
        for _ in range(100_000):
            deep = [deep]
        self.assertLess(len(_encode.json_text(deep)), 10_000)
        # The generator must not be iterated, because that would consume its values.
        self.assertIn("generator", _encode.json_text(n for n in range(3)))
        self.assertLess(len(_encode.json_text({"huge": 10**10_000})), 20_000)


class Lines(unittest.TestCase):
    def test_a_line_has_the_fields_of_the_common_form(self) -> None:
        parsed = line("alice", "fs.read", '{"path":"a"}', "ok", "text", duration_ms=1.5, ts_ms=1_795_421_700_123)
        expected = {
            "ts": "2026-11-23T08:15:00.123Z", "user": "alice", "tool": "fs.read", "args": {"path": "a"},
            "status": "ok", "duration_ms": 1.5, "result": "text",
        }
        self.assertEqual(list(parsed.items()), list(expected.items()))

    def test_odd_names_words_and_results(self) -> None:
        def check(expected: Dict[str, object], *args: object) -> None:
            parsed = line(*args)
            self.assertEqual({name: parsed.get(name) for name in expected}, expected)

        check({"user": None}, "", "t", "{}", "ok")
        check({"user": None}, None, "t", "{}", "ok")
        check({"user": "7", "tool": ""}, 7, None, "{}", "ok")
        check({"user": "<Hostile>"}, Hostile(), "t", "{}", "ok")
        check({"user": "a\\ud800"}, "a\ud800", "t", "{}", "ok")
        check({"user": 'a"\n\0'}, 'a"\n\0', "t", "{}", "ok")
        check({"status": "error", "extra": {"status": "success"}}, "a", "t", "{}", "success")
        check({"status": "error", "extra": {"status": "<Hostile>"}}, "a", "t", "{}", Hostile())
        check({"status": "ok", "extra": None}, "a", "t", "{}", Status.OK)
        check({"error": "why", "result": None}, "a", "t", "{}", "error", "why")
        check({"result": {"a": 1}}, "a", "t", "{}", "error", {"a": 1})
        check({"result": "x"}, "a", "t", "{}", "ok", HostileText("x"))
        check({"result": None}, "a", "t", "{}", "ok", None)
        check({"args": ["\ud800"]}, "a", "t", _encode.json_text(["\ud800"]), "ok")

    def test_what_is_too_large_goes_as_beginning_and_count(self) -> None:
        parsed = line("a", "t", "{}", "ok", "é" * 70_000)
        self.assertEqual((parsed["result_chars"], len(parsed["result_snippet"])), (70_000, 8_192))
        self.assertNotIn("result", parsed)
        args = _encode.json_text({"a": "x" * 2_000_000})
        parsed = line("a", "t", args, "ok")
        self.assertEqual(parsed["args_chars"], len(args))
        self.assertEqual(parsed["args"], {"clipped": args[:8_192]})


if __name__ == "__main__":
    unittest.main()
