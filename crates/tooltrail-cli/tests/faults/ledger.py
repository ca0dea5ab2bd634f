"""Records what callers sent and what was acknowledged; the oracle compares the trail with it."""

import json
import random
import threading
import time

# The service waits 2 s for an entry to become durable. After a longer time than this, an error answer may have been
# sent before the service knew the result.
LATE_S = 1.8


class Ledger:
    """The number of entries that each caller sent, and the ids of acknowledged entries."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}
        self.acknowledged = {}
        self.statuses = {}
        # The number of entries whose request ended before the service knew the result.
        self.late = 0

    def offer(self, caller):
        """Returns a new id of a caller."""
        with self.lock:
            number = self.sent[caller] = self.sent.get(caller, 0) + 1
            return f"{caller}.{number}"

    def told(self, status, ids, rejected=(), took=0.0):
        """Records an answer."""
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.late += len(ids) * (status not in (200, 207) and took > LATE_S)
            if status in (200, 207):
                self.acknowledged |= {
                    one: time.monotonic() for place, one in enumerate(ids) if place + 1 not in rejected
                }

    def before(self, when):
        """Returns the ids that were acknowledged before an instant."""
        with self.lock:
            return {one for one, at in self.acknowledged.items() if at < when}

    def forget(self, ids):
        """Removes acknowledgements: these entries may be stored or not."""
        with self.lock:
            for one in ids:
                self.acknowledged.pop(one, None)


def line(caller_id, user, text="", **more):
    """Returns one entry in the form that a sender sends."""
    return json.dumps({"user": user, "tool": "t", "args": {"text": text}, "status": "ok", "call_id": caller_id, **more})


def post(service, ledger, caller, users, texts=None, connection=None, timeout=20, **more):
    """Sends one request with an entry for each user; returns its status, or `None` if no answer came."""
    texts = texts or [""] * len(users)
    ids = [ledger.offer(caller) for _ in users]
    body = "\n".join(line(one, user, text, **more) for one, user, text in zip(ids, users, texts, strict=True))
    begun = time.monotonic()
    status, answer = service.ask("POST", "/api/audit/entries", body, connection=connection, timeout=timeout)
    rejected = ()
    if status == 207:
        rejected = {refused["line"] for refused in json.loads(answer)["rejected"]}
    ledger.told(status, ids, rejected, time.monotonic() - begun)
    return status


class Senders:
    """Callers that send continuously until they are stopped or the service has ended."""

    def __init__(self, service, ledger, seed, callers=4, users=("shared", "own"), batch=40, longest=24_000, pause=0.0):
        self.going = True
        self.arguments = (service, ledger, users, batch, longest, pause)
        self.threads = [
            threading.Thread(target=self.send, args=(f"{seed}-{n}", random.Random(f"{seed}-{n}")), daemon=True)
            for n in range(callers)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()

    def send(self, caller, draw):
        service, ledger, users, batch, longest, pause = self.arguments
        users = [f"{user}-{caller}" if user == "own" else user for user in users]
        try:
            connection = service.connection()
        except OSError:
            return
        while self.going:
            count = draw.choice((1, 1, 2, draw.randint(1, batch)))
            texts = [
                "word "
                * draw.choice((0, 1, draw.randint(0, 90), draw.randint(0, longest // 5) if draw.random() < 0.05 else 9))
                for _ in range(count)
            ]
            status = post(service, ledger, caller, [draw.choice(users) for _ in range(count)], texts, connection)
            if status is None:
                if service.process.poll() is not None or not self.going:
                    return
                time.sleep(0.005)
                connection = service.connection()
            elif status == 503:
                time.sleep(0.005)
            time.sleep(pause)
        connection.close()
