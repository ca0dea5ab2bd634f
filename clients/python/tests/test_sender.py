"""Tests of the queue, of the service's answers, and of the count of lost calls."""

import os
import threading
import time
import unittest
from typing import Dict, Tuple
from unittest import mock

from support import Told, wait_until

from tooltrail import _sender
from tooltrail._post import Connection
from tooltrail._sender import Sender
from tooltrail._settings import Service, TrailError, service

NDJSON = b'{"n":%d}\n'
PROBLEM = {"Content-Type": "application/problem+json"}


def busy(pause: str = "0") -> Tuple[int, Dict[str, str], bytes]:
    return 503, {**PROBLEM, "Retry-After": pause}, b'{"status":503}'


class Sending(unittest.TestCase):
    def setUp(self) -> None:
        for target, value in (("PAUSE_S_FIRST", 0.01), ("HURRY_S", 0.01)):
            patch = mock.patch.object(_sender, target, value)
            patch.start()
            self.addCleanup(patch.stop)

    def told(self, *answers: Tuple[int, Dict[str, str], bytes]) -> Told:
        told = Told(*answers)
        self.addCleanup(told.close)
        return told

    def sender(self, told: Told, **bounds: int) -> Sender:
        # Do not use the environment, because a sender of another test may still run.
        with mock.patch.dict(os.environ, {"TOOLTRAIL_URL": told.url + "/prefix/", "TOOLTRAIL_TOKEN": " tt_x\n"}):
            settings = service()
        sender = Sender(Connection(lambda: settings), **bounds)
        self.addCleanup(sender.connection.close)
        return sender

    def sent(self, sender: Sender, count: int, first: int = 0) -> None:
        for n in range(first, first + count):
            sender.put(NDJSON % n)

    def numbers(self, told: Told) -> "list[int]":
        return [line["n"] for line in told.lines()]

    def test_lines_go_out_in_order_over_one_connection(self) -> None:
        told = self.told()
        sender = self.sender(told)
        self.sent(sender, 1_234)
        self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told), list(range(1_234)))
        self.assertEqual(told.connections, 1)
        self.assertLessEqual(max(len(lines) for _, lines in told.requests), 500)
        self.assertEqual({headers["authorization"] for headers, _ in told.requests}, {"Bearer tt_x"})
        self.assertTrue(all("tooltrail-lost" not in headers for headers, _ in told.requests))
        self.assertEqual(sender.unsent(), 0)

    def test_whatever_passes_is_tried_again(self) -> None:
        def check(*answers: Tuple[int, Dict[str, str], bytes]) -> None:
            told = self.told(*answers)
            sender = self.sender(told)
            self.sent(sender, 3)
            with self.assertLogs("tooltrail", "WARNING") as logged:
                self.assertTrue(sender.flush(10))
            # One log message for one outage, however long it is.
            self.assertEqual(len(logged.output), 1)
            self.assertEqual([len(lines) for _, lines in told.requests], [3] * (len(answers) + 1))
            self.assertEqual(sender.unsent(), 0)

        check(busy(), busy(), busy())
        check((0, {}, b""))
        check((401, PROBLEM, b"{}"))
        check((403, PROBLEM, b"{}"), (404, {}, b""), (500, {}, b"<html>"))
        check((200, {}, b"a page of something else"))
        check((302, {"Location": "http://127.0.0.1:1/"}, b""))
        check((400, {}, b"The plain HTTP request was sent to HTTPS port"))

    def test_a_connection_closed_between_two_requests_is_no_outage(self) -> None:
        told = self.told()
        sender = self.sender(told)
        self.sent(sender, 1)
        self.assertTrue(sender.flush(10))
        told.answers.append((0, {}, b""))
        self.sent(sender, 1, first=1)
        with self.assertNoWarnings():
            self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told), [0, 1, 1])
        self.assertEqual(told.connections, 2)

    def assertNoWarnings(self) -> "mock._patch[mock.MagicMock]":
        return mock.patch.object(_sender.log, "warning", side_effect=AssertionError("warned"))

    def test_a_full_queue_drops_the_newest_and_counts(self) -> None:
        told = self.told(busy("30"))
        sender = self.sender(told, entries_max=10)
        self.sent(sender, 1)
        wait_until(lambda: told.requests, "the first try")
        self.sent(sender, 16, first=1)
        self.assertEqual(sender.unsent(), 17)
        # The queue pauses for half a minute, unless a caller of `flush` waits.
        self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told), [0, *range(10)])
        self.assertEqual(told.requests[-1][0]["tooltrail-lost"], "7")
        self.assertEqual(sender.unsent(), 0)
        self.sent(sender, 1, first=50)
        self.assertTrue(sender.flush(10))
        self.assertNotIn("tooltrail-lost", told.requests[-1][0])

    def test_bytes_are_bounded_too(self) -> None:
        told = self.told()
        sender = self.sender(told, bytes_max=30)
        with mock.patch.object(sender, "_start", return_value=True):
            self.sent(sender, 5)
        self.assertEqual(sender.unsent(), 5)
        self.sent(sender, 0)
        self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told), [0, 1, 2])
        self.assertEqual(told.requests[0][0]["tooltrail-lost"], "2")

    def test_a_count_is_said_again_until_it_is_heard(self) -> None:
        told = self.told(busy(), busy())
        sender = self.sender(told)
        sender.lose()
        self.sent(sender, 1)
        self.assertTrue(sender.flush(10))
        self.assertEqual([headers.get("tooltrail-lost") for headers, _ in told.requests], ["1", "1", "1"])

    def test_refused_lines_are_lost_and_said_so(self) -> None:
        refusal = b'{"accepted":1,"rejected":[{"line":2,"error":"no"},{"line":3,"error":"no"}]}'
        told = self.told((207, {}, refusal))
        sender = self.sender(told)
        self.sent(sender, 3)
        self.assertTrue(sender.flush(10))
        self.sent(sender, 1, first=3)
        self.assertTrue(sender.flush(10))
        self.assertEqual(told.requests[1][0]["tooltrail-lost"], "2")
        self.assertEqual(sender.unsent(), 0)

    def test_a_batch_too_large_is_halved(self) -> None:
        too_large = (413, PROBLEM, b"{}")
        told = self.told(too_large, too_large)
        sender = self.sender(told)
        self.sent(sender, 8)
        self.assertTrue(sender.flush(10))
        self.assertEqual([len(lines) for _, lines in told.requests], [8, 4, 2, 2, 2, 2])
        told.answers += [too_large, too_large]
        self.sent(sender, 3, first=8)
        self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told)[-5:], [8, 9, 8, 9, 10])
        self.assertEqual(told.requests[-2][0]["tooltrail-lost"], "1")

    def test_a_batch_that_is_never_understood_does_not_block_the_rest(self) -> None:
        told = self.told(*[(400, PROBLEM, b"{}")] * _sender.TRIES_MAX)
        sender = self.sender(told)
        self.sent(sender, 2)
        self.assertTrue(sender.flush(10))
        self.sent(sender, 1, first=2)
        self.assertTrue(sender.flush(10))
        self.assertEqual(told.requests[-1][0]["tooltrail-lost"], "2")

    def test_a_flush_of_no_avail_ends_in_time(self) -> None:
        sender = Sender(Connection(lambda: Service(False, "127.0.0.1", 1, "", "")))
        self.assertTrue(sender.flush(0))
        self.sent(sender, 1)
        began = time.monotonic()
        self.assertFalse(sender.flush(0.3))
        self.assertLess(time.monotonic() - began, 2)

    def test_an_interpreter_without_threads_sends_by_itself(self) -> None:
        told = self.told()
        sender = self.sender(told)
        with mock.patch.object(sender, "_start", return_value=False):
            self.sent(sender, 3)
            self.assertTrue(sender.flush(10))
        self.assertEqual(self.numbers(told), [0, 1, 2])

    def test_many_threads_may_put_and_flush(self) -> None:
        told = self.told()
        sender = self.sender(told)

        def work(first: int) -> None:
            self.sent(sender, 250, first)
            if not sender.flush(20):
                raise AssertionError("not in time")

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 2_000, 250)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(self.numbers(told)), list(range(2_000)))


class Addresses(unittest.TestCase):
    def test_what_the_environment_says(self) -> None:
        def check(url: str, token: str, expected: object) -> None:
            with mock.patch.dict(os.environ, {"TOOLTRAIL_URL": url, "TOOLTRAIL_TOKEN": token}):
                if expected is None:
                    self.assertRaises(TrailError, service)
                else:
                    self.assertEqual(tuple(service()), expected)

        check("", "", (False, "127.0.0.1", 7420, "", ""))
        check("https://audit.example/a/", "t", (True, "audit.example", None, "/a", "t"))
        check("http://[::1]:80", "t", (False, "::1", 80, "", "t"))
        for bad in ("ftp://x", "127.0.0.1:7420", "http://", "http://a:b", "http://[", "http://a:99999"):
            check(bad, "t", None)
        check("", "a\nb", None)
        check("", "é", None)


if __name__ == "__main__":
    unittest.main()
