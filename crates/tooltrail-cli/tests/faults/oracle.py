"""The oracle: checks what must be true of a home after every test, whatever the test did.

Every acknowledged entry is stored exactly once, and no entry is stored twice. The acknowledged entries of each caller
are in order. Every line is an entry or blank. No day file is shorter than before, and bytes that became spaces are in
`fragments/` with an incident. The home accepts and shows new entries.
"""

import dataclasses
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ledger import Ledger, post
from place import Broken

FIRST = ["ts", "user", "tool", "args", "status", "result_chars", "result_snippet"]
REST = [
    "id",
    "duration_ms",
    "reason",
    "session",
    "call_id",
    "parent",
    "agent",
    "model",
    "client",
    "server",
    "via",
    "identity",
    "claimed_user",
    "rule",
    "redacted",
    "trace_id",
    "span_id",
    "extra",
    "salt",
]
TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SALT = re.compile(r"[A-Za-z0-9_-]{22}")
DAY = re.compile(r"\d{4}-\d\d-\d\d\.jsonl")
LINE_BYTES_MAX = 64 * 1024


@dataclass
class Allowed:
    """Effects that a case caused on purpose and that are not faults of tooltrail."""

    # Ids that may be missing because the case removed their file.
    missing: set = field(default_factory=set)
    # The number of foreign lines: each is counted as skipped and stays in the file.
    junk: int = 0
    # Whether lines may be out of order, because a failing disk delayed some of them.
    disorder: bool = False
    # Whether the case removed or truncated day files.
    changed: bool = False


# For a case that did not change the files.
NOTHING = Allowed()


def day_files(home):
    return sorted(Path(home).glob("*/tool_audit/*"))


def snapshot(home):
    """Returns the bytes of all day files."""
    return {
        path.relative_to(home): path.read_bytes()
        for path in day_files(home)
        if path.is_file() and not path.is_symlink()
    }


def entries(home, junk=0):
    """Returns all entries, file by file in their order; every line must be an entry, except `junk` foreign lines."""
    found = []
    foreign = 0
    for path in day_files(home):
        if not DAY.fullmatch(path.name):
            raise Broken(f"{path}: no day file")
        *lines, tail = path.read_bytes().split(b"\n")
        for number, raw in enumerate(lines, 1):
            # A line of spaces replaces damage, or the part of a batch that a full disk took.
            if not raw.strip(b" "):
                continue
            try:
                found.append((path.relative_to(home), entry(raw, path)))
            except (ValueError, KeyError) as error:
                foreign += 1
                if foreign > junk:
                    raise Broken(f"{path}, line {number}: {error}: {raw[:200]!r}") from None
        if tail:
            raise Broken(f"{path}: a torn tail of {len(tail)} bytes: {tail[:200]!r}")
    return found


def entry(raw, path):
    """Returns a line as an entry; raises ValueError that says what is wrong with the line."""
    if len(raw) >= LINE_BYTES_MAX:
        raise ValueError("too long")
    pairs = []

    def collect(members):
        pairs[:] = members
        return dict(members)

    found = json.loads(raw.decode(), object_pairs_hook=collect)
    keys = [key for key, _ in pairs]
    if not isinstance(found, dict) or keys[:7] != FIRST or [key for key in REST if key in found] != keys[7:]:
        raise ValueError(f"members {keys}")
    when = (
        datetime.strptime(found["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        if found["ts"] < "9999"
        else None
    )
    checks = {
        "ts": TS.fullmatch(found["ts"]),
        "day": found["ts"][:10] == path.name[:10],
        "user": folder(found) == path.parts[-3],
        "args": isinstance(found["args"], dict),
        "status": found["status"] in ("ok", "error", "denied"),
        "result": isinstance(found["result_chars"], int) and isinstance(found["result_snippet"], str),
        "id": ID.fullmatch(found["id"]),
        "id's time": when is None
        or when.timestamp() < 0
        or int(found["id"].replace("-", "")[:12], 16) == round(when.timestamp() * 1000),
        "salt": SALT.fullmatch(found["salt"]),
    }
    wrong = [what for what, holds in checks.items() if not holds]
    if wrong:
        raise ValueError(f"wrong {wrong}")
    return found


def folder(found):
    """Returns the folder name for the user of an entry, if the id is short."""
    plain = "abcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(
        byte if byte in plain else "".join(f"%{part:02X}" for part in byte.encode()) for byte in found["user"]
    )


def check_files(home, ledger, allowed=NOTHING):
    """Compares the files with the ledger; returns the entries."""
    stored = entries(home, allowed.junk)
    counts = Counter(found["call_id"] for _, found in stored if "call_id" in found)
    twice = [one for one, count in counts.items() if count > 1]
    if twice:
        raise Broken(f"stored more than once: {twice[:5]} ({len(twice)})")
    lost = [one for one in ledger.acknowledged if one not in counts and one not in allowed.missing]
    if lost:
        raise Broken(f"acknowledged and lost: {lost[:5]} ({len(lost)} of {len(ledger.acknowledged)})")
    if not allowed.disorder:
        check_order(stored, ledger)
    return stored


def check_order(stored, ledger):
    """Checks that the acknowledged entries of each caller in one file are in the order in which they were sent."""
    last = {}
    for path, found in stored:
        one = found.get("call_id")
        if one in ledger.acknowledged:
            caller, number = one.rsplit(".", 1)
            if int(number) < last.get((path, caller), 0):
                raise Broken(f"{path}: {one} stands after {caller}.{last[path, caller]}")
            last[path, caller] = int(number)


def check_kept(home, before):
    """Checks that all bytes of the day files are still there, or are in a fragment and became spaces.

    No file may be shorter.
    """
    fragments = {path.name: path.read_bytes() for path in Path(home, ".tooltrail/fragments").glob("*")}
    for path, was in before.items():
        now = Path(home, path).read_bytes() if Path(home, path).exists() else b""
        if now.startswith(was):
            continue
        if len(now) < len(was):
            raise Broken(f"{path}: {len(was)} bytes before, {len(now)} after")
        expected = bytearray(was)
        begun = f"{path.name[:10]}."
        for name, kept in fragments.items():
            offset, _, rest = name.removeprefix(begun).partition(".")
            whose = rest.partition(".")[2]
            if name.startswith(begun) and path.parts[0].startswith(whose):
                at = int(offset)
                # If the same bytes were kept twice, the fragment holds them one after another.
                for part in {kept, kept[len(kept) // 2 :]}:
                    if was[at : at + len(part)] == part:
                        expected[at : at + len(part)] = b" " * len(part)
        for at, byte in enumerate(expected):
            if now[at] not in (byte, was[at]):
                raise Broken(f"{path}: byte {at} changed from {was[at]} to {now[at]}, and is in no fragment")


def check_incidents(home, stored):
    """Checks that incidents record all bytes of each fragment; after a kill, possibly more than once."""
    told = Counter()
    for _, found in stored:
        if found["tool"] == "tooltrail.incident" and found["via"] == "tooltrail" and "fragment" in found["args"]:
            told[found["args"]["fragment"]] += int(found["args"]["bytes"])
    for path in Path(home, ".tooltrail/fragments").glob("*"):
        kept, bytes_told = path.stat().st_size, told[path.name]
        if not bytes_told or bytes_told < kept:
            raise Broken(f"fragment {path.name}: {kept} bytes, but incidents tell of {bytes_told}")


def check_proof(place, allowed, env):
    """Verifies what is sealed, with the program itself. Lines of a killed process may still wait for their seal."""
    # A copy of a home that another key signs is never sealed here.
    if allowed.changed or not list(place.keys.glob("*/checkpoint")):
        return
    ran = place.run("verify", "--max-tail", "1h", env=env)
    if ran.returncode != 0:
        raise Broken(f"verify says {ran.stdout.strip()}: {ran.stderr}")


def check(place, ledger, allowed=NOTHING, other_boot=False, env=None, wrap=()):
    """Opens the home again and compares all of it with the ledger; returns its entries."""
    before = snapshot(place.home)
    if other_boot:
        # A power cut may destroy lines in the middle of a file; recovery appends them at the end.
        allowed = dataclasses.replace(allowed, disorder=True)
    service = place.service(other_boot=other_boot, env=env, wrap=wrap)
    check_files(place.home, ledger, allowed)
    takes_and_shows(service, place, allowed)
    code = service.stop()
    if code != 0:
        raise Broken(f"the service ended with {code}: {service.log()}")
    stored = check_files(place.home, ledger, allowed)
    if not allowed.changed:
        check_kept(place.home, before)
    check_proof(place, allowed, env)
    check_incidents(place.home, stored)
    return stored


def takes_and_shows(service, place, allowed):
    """Checks that a new entry is acknowledged and is the newest in an answer, and that no stored line is skipped."""
    probe, user = Ledger(), "probe"
    name = f"probe-{service.pid}-{service.port}"
    status = post(service, probe, name, [user])
    if status != 200:
        raise Broken(f"the home takes no entries: {status}: {service.log()}")
    answer = service.json(f"/api/audit/recent?user={user}&limit=5&days=3650")
    if [found["call_id"] for found in answer["entries"]][:1] != [f"{name}.1"]:
        raise Broken(f"the home does not show what it took: {answer}")
    everybody = service.json("/api/audit/recent?limit=1000&days=3650")
    skipped = sum(everybody["skipped"].values())
    if skipped > allowed.junk:
        raise Broken(f"lines are skipped: {everybody['skipped']}")
