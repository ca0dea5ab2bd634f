"""The work of a separate process that the tests start."""

from tooltrail import record


def work(user: str) -> None:
    for n in range(100):
        record(user, "t", {"n": n}, "ok").close()
