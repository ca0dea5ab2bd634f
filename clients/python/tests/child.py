"""What a process of its own does in the tests."""

from tooltrail import record


def work(user: str) -> None:
    for n in range(100):
        record(user, "t", {"n": n}, "ok").close()
