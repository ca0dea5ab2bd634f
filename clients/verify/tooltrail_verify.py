#!/usr/bin/env python3
"""Verifies the sealed audit log of a tooltrail home, or the proof of one entry.

    tooltrail_verify.py HOME [--key VKEY|FILE] [--keys DIR] [--checkpoint FILE] [--remembered FILE]
                             [--witness VKEY ...] [--user U ...] [--from D] [--to D]
                             [--max-tail SECONDS] [--now MS] [--json]
    tooltrail_verify.py --proof FILE --key VKEY [--json]

This program was written from docs/proof.md and the C2SP specifications only. It shares no code with tooltrail. It only
reads. It needs Python 3.11 and the package `cryptography` (for Ed25519).

The findings are written to stderr, one line each. The verdict is one word on stdout. The exit status is 0 if the home
is well, 1 if it is not, and 2 if the verification is not possible.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import calendar
import datetime
import errno
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# The verdicts from the worst to the best, and the first of them with which the exit status is 0.
VERDICTS = (
    "bad-signature",
    "forked",
    "rolled-back",
    "missing",
    "truncated",
    "inserted",
    "reordered",
    "modified",
    "unsealed",
    "incident",
    "erased",
    "pruned",
    "ok-unsealed-tail",
    "ok",
)
RANK = {word: rank for rank, word in enumerate(VERDICTS)}
FIRST_GOOD = RANK["incident"]

NOTE_BYTES = 131_072
NOTE_SIGNATURES = 64
JSON_LEVELS = 64
PROOF_BYTES = 64 << 20
SMALL_FILE = 4_096
U64 = (1 << 64) - 1
NONE = U64
BLOCK = 1 << 18

# A finding that says that something is wrong is only reported if it is still there after this time (seconds), because
# another process may be writing.
LOOK_AGAIN_AFTER = 0.3
LOOKS = 3

ED25519 = 1
COSIGNATURE = 4


class Impossible(Exception):
    """The verification is not possible; the text says why."""


class BadNote(Exception):
    """This is not a signed note, or a signature of a known key is wrong; the text says why."""


class BadEntry(Exception):
    """This is not an entry of the log; the text says why."""


# ---------------------------------------------------------------------------------------------------------------------
# Encodings


def unbase64(text: str) -> bytes:
    """Decodes base64, and refuses everything that an encoder would not write."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("not base64 as an encoder writes it")
    return data


def decimal(text: str) -> int | None:
    """Reads a decimal number without leading zeroes that fits in 64 bits."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text, re.ASCII):
        return None
    number = int(text)
    return number if number <= U64 else None


def shown(text: str) -> str:
    """Makes a text safe for one line of a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= U64


def read_json(data: bytes) -> dict[str, Any]:
    """Reads one JSON object; whatever is wrong with it becomes a ValueError."""

    def constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("the JSON has a member twice")
        return result

    try:
        value = json.loads(data.decode("utf-8"), parse_constant=constant, object_pairs_hook=members)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    level: list[Any] = [value]
    for _ in range(JSON_LEVELS):
        inside = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for items in inside for item in items if isinstance(item, (dict, list))]
    if level:
        raise ValueError("the JSON is nested too deeply")
    return value


def is_day(text: str) -> bool:
    """True for YYYY-MM-DD if there is such a day."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        return False
    year, month, day = (int(part) for part in text.split("-"))
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def folder_of(user: str) -> str:
    """The folder of a user: `[a-z0-9_-]` stay, every other byte becomes %XX."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789_-"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in os.fsencode(user))


# ---------------------------------------------------------------------------------------------------------------------
# Merkle trees (RFC 6962, section 2.1)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


class Tree:
    """The right edge of a growing tree. It gives the root after each leaf with a memory of one hash per level."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node(self._edge.pop(), leaf)
            size >>= 1
        self._edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._edge:
            return sha256(b"")
        root = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            root = node(left, root)
        return root


def includes(root: bytes, size: int, index: int, leaf: bytes, path: list[bytes]) -> bool:
    """Checks the inclusion proof of a leaf. The path must have exactly the length that the position demands."""
    if index >= size:
        return False
    last = size - 1
    digest = leaf
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            digest = node(sibling, digest)
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            digest = node(digest, sibling)
        index >>= 1
        last >>= 1
    return last == 0 and digest == root


# ---------------------------------------------------------------------------------------------------------------------
# Keys, notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature)


@dataclass(frozen=True)
class Key:
    name: str
    id: bytes
    kind: int
    public: bytes

    def verifies(self, signature: bytes, text: bytes) -> bool:
        if self.kind == COSIGNATURE:
            if len(signature) != 72:
                return False
            at = int.from_bytes(signature[:8], "big")
            if at >= 1 << 63:
                return False
            text = f"cosignature/v1\ntime {at}\n".encode() + text
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def make_key(name: str, kind: int, public: bytes) -> Key:
    return Key(name, sha256(name.encode() + b"\n" + bytes([kind]) + public)[:4], kind, public)


def parse_key(text: str, kind: int) -> Key:
    """Reads a verifier key of this signature type."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]):
        raise ValueError("it has not the form NAME+ID+KEY")
    try:
        material = unbase64(parts[2])
    except ValueError:
        raise ValueError("its last part is not base64") from None
    if len(material) != 33 or material[0] != kind:
        raise ValueError(f"it is not an Ed25519 key of the type {kind}")
    key = make_key(parts[0], kind, material[1:])
    if parts[1] != key.id.hex():
        raise ValueError("its id does not belong to it")
    return key


@dataclass
class Checkpoint:
    """A signed note whose text is a checkpoint. The signatures are not verified yet."""

    text: bytes
    signatures: list[tuple[str, bytes, bytes]]
    origin: str
    size: int
    root: bytes

    def signers(self, known: Iterable[Key]) -> set[Key]:
        """The known keys that signed. A wrong signature of a known key makes the whole note bad."""
        keys = {(key.name, key.id): key for key in known}
        found = set()
        for name, key_id, signature in self.signatures:
            key = keys.get((name, key_id))
            if key is None:
                continue
            if not key.verifies(signature, self.text):
                raise BadNote(f"the signature of {shown(name)} is wrong")
            found.add(key)
        return found


def parse_checkpoint(data: bytes) -> Checkpoint:
    if len(data) > NOTE_BYTES:
        raise BadNote("the note is too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadNote("the note is not UTF-8") from None
    if any(c < " " and c != "\n" for c in whole):
        raise BadNote("the note has control characters")
    cut = whole.rfind("\n\n")
    if cut < 0 or not whole.endswith("\n") or cut + 2 >= len(whole):
        raise BadNote("the note has no signatures")
    text, lines = whole[: cut + 1], whole[cut + 2 : -1].split("\n")
    if len(lines) > NOTE_SIGNATURES:
        raise BadNote("the note has too many signatures")
    signatures = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not is_key_name(parts[1]):
            raise BadNote("the note has a malformed signature line")
        try:
            blob = unbase64(parts[2])
        except ValueError:
            raise BadNote("the note has a signature that is not base64") from None
        if len(blob) < 5:
            raise BadNote("the note has a signature that is too short")
        signatures.append((parts[1], blob[:4], blob[4:]))
    body = text[:-1].split("\n")
    if len(body) != 3 or not body[0]:
        raise BadNote("the checkpoint does not consist of an origin, a size and a root")
    size = decimal(body[1])
    if size is None:
        raise BadNote("the size of the checkpoint is not a number")
    try:
        root = unbase64(body[2])
    except ValueError:
        raise BadNote("the root of the checkpoint is not base64") from None
    if len(root) != 32:
        raise BadNote("the root of the checkpoint has not 32 bytes")
    if size == 0 and root != sha256(b""):
        raise BadNote("the root of the checkpoint is not the one of an empty log")
    return Checkpoint(text.encode(), signatures, body[0], size, root)


# ---------------------------------------------------------------------------------------------------------------------
# Entries of the log


@dataclass(frozen=True)
class Head:
    index: int
    flags: int
    name: bytes
    root: bytes
    entries: int
    bytes: int
    prev: int
    at: int
    first_line: int = 0
    first_byte: int = 0
    broken: int = NONE

    @property
    def tree(self) -> tuple[int, int, int, int]:
        """What all heads of one tree have in common."""
        return (self.flags & 2, self.first_line, self.first_byte, self.broken)


def parse_head(index: int, data: bytes) -> Head:
    if len(data) < 2 or data[0] != 1:
        raise BadEntry("it is not a head")
    flags = data[1]
    if flags & ~3 or len(data) != (122 if flags & 2 else 98):
        raise BadEntry("a head has unknown flags or a wrong length")
    numbers = struct.unpack_from(">QQQQ", data, 66)
    if flags & 2:
        return Head(index, flags, data[2:34], data[34:66], *numbers, *struct.unpack_from(">QQQ", data, 98))
    return Head(index, flags, data[2:34], data[34:66], *numbers)


@dataclass
class Record:
    """Another record of the log, as far as verifying needs it."""

    type: str
    lines: list[tuple[bytes, int, bytes, bytes]] = field(default_factory=list)  # name, line, old, new
    files: list[bytes] = field(default_factory=list)
    key: Key | None = None
    lost: bool = False


def parse_record(data: bytes) -> Record:
    if b"\n" in data:
        raise BadEntry("a record has a newline")
    try:
        value = read_json(data)
    except ValueError:
        raise BadEntry("a record is not a JSON object") from None
    kind = value.get("type")
    if kind not in ("erase", "prune", "restore", "key"):
        raise BadEntry("a record has an unknown type")
    if not is_count(value.get("at")) or not isinstance(value.get("by"), str) or not isinstance(value.get("why"), str):
        raise BadEntry("a record does not say when, by whom and why")
    record = Record(kind)
    try:
        if kind == "erase" and ("lines" in value) == ("files" in value):
            raise ValueError
        if kind == "erase" and "lines" in value:
            record.lines = [erased_line(item) for item in array(value["lines"])]
        elif kind in ("erase", "prune"):
            record.files = [hash_of(item) for item in array(value.get("files"))]
        if kind == "restore" and not isinstance(value.get("checkpoint"), str):
            raise ValueError
        if kind == "key":
            if not isinstance(value.get("key"), str) or value.get("lost", True) is not True:
                raise ValueError
            record.key = parse_key(value["key"], ED25519)
            record.lost = "lost" in value
    except ValueError:
        raise BadEntry(f"a record of the type {kind} has a member that is missing or wrong") from None
    return record


def array(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError
    return value


def hash_of(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError
    digest = unbase64(value)
    if len(digest) != 32:
        raise ValueError
    return digest


def erased_line(value: object) -> tuple[bytes, int, bytes, bytes]:
    if not isinstance(value, dict) or not is_count(value.get("line")):
        raise ValueError
    if not isinstance(value.get("id"), (str, type(None))):
        raise ValueError
    return (hash_of(value.get("name")), value["line"], hash_of(value.get("old")), hash_of(value.get("new")))


@dataclass
class Chain:
    """The heads of one keyed name, up to the record that removed the file. They are kept as bytes to save memory."""

    heads: list[tuple[int, bytes]] = field(default_factory=list)
    lines: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)  # index of the record, line, old, new
    ended: str | None = None  # "erase" or "prune"

    def parsed(self) -> list[Head]:
        return [parse_head(index, data) for index, data in self.heads]


class Log:
    """The entries of the log up to a size, read once from the beginning to the end."""

    def __init__(self) -> None:
        self.count = 0
        self.heads = 0
        self.roots: dict[int, bytes] = {}
        self.error: str | None = None
        self.names: dict[bytes, list[Chain]] = {}
        self.keys: dict[int, Record] = {}

    def read(self, fd: int | None, size: int, wanted: set[int]) -> None:
        """Reads at most `size` entries, and keeps the root of the log at each size in `wanted`."""
        tree = Tree()
        if 0 in wanted:
            self.roots[0] = tree.root()
        if fd is None:
            return
        with open(fd, "rb", buffering=BLOCK, closefd=False) as file:
            while self.count < size:
                length = file.read(2)
                if len(length) < 2:
                    return
                data = file.read(int.from_bytes(length, "big"))
                if len(data) < int.from_bytes(length, "big"):
                    return
                tree.add(sha256(b"\x00" + data))
                if self.error is None:
                    try:
                        self._take(self.count, data)
                    except BadEntry as why:
                        self.error = f"entry {self.count} of the log is malformed: {why}"
                self.count += 1
                if self.count in wanted:
                    self.roots[self.count] = tree.root()

    def last_key_record(self) -> list[Record]:
        return [self.keys[max(self.keys)]] if self.keys else []

    def _chain(self, name: bytes) -> Chain:
        chains = self.names.setdefault(name, [])
        if not chains or chains[-1].ended:
            chains.append(Chain())
        return chains[-1]

    def _take(self, index: int, data: bytes) -> None:
        if data[:1] == b"\x01":
            head = parse_head(index, data)
            chain = self._chain(head.name)
            prev = parse_head(*chain.heads[-1]) if chain.heads else None
            if head.prev != (prev.index if prev else NONE):
                raise BadEntry("a head does not name the head before it")
            if prev and prev.tree == head.tree and (head.entries < prev.entries or head.bytes < prev.bytes):
                raise BadEntry("a head has fewer lines than the head before it")
            chain.heads.append((index, data))
            self.heads += 1
        elif data[:1] == b"{":
            record = parse_record(data)
            for name, line, old, new in record.lines:
                self._chain(name).lines.append((index, line, old, new))
            for name in record.files:
                for chain in reversed(self.names.get(name, [])):
                    # A file that the retention named before and an erasure names now counts as erased.
                    if chain.ended is None or record.type == "erase":
                        chain.ended = record.type
                    if chain.heads:
                        break
            if record.key is not None:
                self.keys[index] = record
        else:
            raise BadEntry("it begins with an unknown byte")


# ---------------------------------------------------------------------------------------------------------------------
# Files below the home; links are never followed


class Folder:
    """Opens files below a folder without following links. What is a link, or not a plain file, is not there."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise Impossible(f"cannot open the folder {shown(path)}: {reason(error)}") from None

    def close(self) -> None:
        os.close(self._fd)

    def _open(self, parts: tuple[str, ...], flags: int) -> int | None:
        here = self._fd
        try:
            for position, part in enumerate(parts):
                last = position == len(parts) - 1
                mode = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (flags if last else os.O_DIRECTORY)
                try:
                    there = os.open(part, mode, dir_fd=here)
                except ValueError:
                    return None
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG):
                        return None
                    raise Impossible(f"cannot read {shown('/'.join(parts))}: {reason(error)}") from None
                if here != self._fd:
                    os.close(here)
                here = there
            result, here = here, self._fd
            return result
        finally:
            if here != self._fd:
                os.close(here)

    def open(self, *parts: str) -> int | None:
        """Opens a plain file."""
        fd = self._open(parts, os.O_NONBLOCK)
        if fd is not None and not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return fd

    def read(self, *parts: str, limit: int = SMALL_FILE) -> bytes | None:
        """Reads a small file. What is longer than the limit is cut one byte after it."""
        fd = self.open(*parts)
        if fd is None:
            return None
        with open(fd, "rb") as file:
            return file.read(limit + 1)

    def names(self, *parts: str) -> list[str]:
        """The names in a folder, in order."""
        fd = self._open(parts, os.O_DIRECTORY) if parts else os.dup(self._fd)
        if fd is None:
            return []
        try:
            return sorted(os.listdir(fd))
        finally:
            os.close(fd)


def reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def read_option_file(path: str, limit: int) -> bytes:
    """Reads a file that an option names."""
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise Impossible(f"cannot read {shown(path)}: {reason(error)}") from None


def key_option(value: str, kind: int) -> Key:
    """Reads a verifier key, or the first line of a file that holds one."""
    try:
        return parse_key(value.strip(), kind)
    except ValueError as error:
        problem = error
    if not os.path.exists(value):
        raise Impossible(f"this is neither a verifier key nor a file: {shown(value)} ({problem})")
    first = read_option_file(value, SMALL_FILE).split(b"\n", 1)[0]
    try:
        return parse_key(first.decode("utf-8").strip(), kind)
    except ValueError as error:
        text = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Impossible(f"there is no verifier key in {shown(value)}: {text}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Lines of a day file


def lines_of(fd: int, start: int, end: int) -> Iterator[tuple[bytes, int, bool]]:
    """Gives for each whole line between two offsets its leaf, the offset after it, and if it has only spaces.

    A long line is hashed piece by piece and never held as a whole.
    """
    position = start
    open_line = None  # the hash of a line that began in an earlier block
    blank, length = True, 0
    while position < end:
        block = os.pread(fd, min(BLOCK, end - position), position)
        if not block:
            return
        pieces = block.split(b"\n")
        last = len(pieces) - 1
        for number, piece in enumerate(pieces):
            if number == last:
                if piece:
                    if open_line is None:
                        open_line = hashlib.sha256(b"\x00")
                        blank, length = True, 0
                    open_line.update(piece)
                    blank = blank and not piece.strip(b" ")
                    length += len(piece)
                position += len(piece)
                continue
            position += len(piece) + 1
            if open_line is None:
                yield sha256(b"\x00" + piece), position, bool(piece) and not piece.strip(b" ")
            else:
                open_line.update(piece)
                blank = blank and not piece.strip(b" ")
                length += len(piece)
                yield open_line.digest(), position, blank and length > 0
                open_line = None


class CachedLeaves:
    """The leaves in a cache file, read in blocks. A file that becomes shorter gives empty leaves."""

    def __init__(self, fd: int, count: int) -> None:
        self._fd = fd
        self.count = count
        self._first = 0
        self._block = b""

    def __getitem__(self, index: int) -> bytes:
        offset = (index - self._first) * 32
        if not 0 <= offset < len(self._block):
            self._first = index - index % 2048
            self._block = os.pread(self._fd, 65_536, self._first * 32)
            offset = (index - self._first) * 32
        return self._block[offset : offset + 32]

    def root(self) -> bytes:
        tree = Tree()
        for index in range(self.count):
            tree.add(self[index])
        return tree.root()


class FoundLeaves:
    """The leaves of the lines that are in the file now: 32 bytes for each line."""

    def __init__(self) -> None:
        self.data = bytearray()

    def __len__(self) -> int:
        return len(self.data) // 32

    def __getitem__(self, index: int) -> bytes:
        return bytes(self.data[index * 32 : index * 32 + 32])

    def last_at(self, leaf: bytes, lowest: int) -> int | None:
        """The last position of a leaf at or after `lowest`."""
        end = len(self.data)
        while True:
            found = self.data.rfind(leaf, lowest * 32, end)
            if found < 0:
                return None
            if found % 32 == 0:
                return found // 32
            end = found + 31


Leaves = CachedLeaves | FoundLeaves


def same_bag(one: Leaves, a: range, other: Leaves, b: range) -> bool:
    """Compares if two parts hold the same leaves, each as often, whatever their order.

    It adds a keyed hash of each leaf instead of sorting copies, so that it needs no memory. The key is secret and new
    for each comparison; so nobody can prepare leaves for which the sums agree.
    """
    if len(a) != len(b):
        return False
    secret = os.urandom(32)

    def total(leaves: Leaves, part: range) -> int:
        result = 0
        for index in part:
            result += int.from_bytes(hashlib.blake2b(leaves[index], key=secret, digest_size=64).digest(), "big")
        return result

    return total(one, a) == total(other, b)


def is_subsequence(small: Leaves, a: range, large: Leaves, b: range) -> bool:
    position = a.start
    for index in b:
        if position == a.stop:
            break
        if small[position] == large[index]:
            position += 1
    return position == a.stop


def compare(found: FoundLeaves, cached: CachedLeaves) -> tuple[str, int] | None:
    """Says how the lines found differ from the lines sealed, and from which position (section 7).

    None means that the first lines do not differ at all.
    """
    n = cached.count
    p = 0
    while p < min(n, len(found)) and found[p] == cached[p]:
        p += 1
    if p == n:
        return None
    if p == len(found):
        return "truncated", p
    if len(found) >= n and same_bag(found, range(p, n), cached, range(p, n)):
        return "reordered", p
    q = found.last_at(cached[n - 1], p)
    s = 0
    if q is None:
        q = len(found) - 1
    else:
        most = min(n - p, q + 1 - p)
        while s < most and cached[n - 1 - s] == found[q - s]:
            s += 1
    now, before = range(p, q + 1 - s), range(p, n - s)
    if same_bag(found, now, cached, before):
        return "reordered", p
    if is_subsequence(cached, before, found, now):
        return "inserted", p
    if is_subsequence(found, now, cached, before):
        return "missing", p
    return "modified", p


# ---------------------------------------------------------------------------------------------------------------------
# Verifying a home


@dataclass(frozen=True)
class Finding:
    verdict: str
    file: str | None
    line: int | None  # from 1
    text: str

    def __str__(self) -> str:
        place = shown(self.file) if self.file is not None else "-"
        if self.line is not None:
            place += f" line {self.line}"
        return f"{self.verdict}: {place}: {shown(self.text)}"


@dataclass
class Options:
    home: str = ""
    key: str | None = None
    keys: str | None = None
    checkpoint: str | None = None
    remembered: str | None = None
    witness: list[str] = field(default_factory=list)
    user: list[str] = field(default_factory=list)
    first_day: str | None = None
    last_day: str | None = None
    max_tail: int = 60
    now: int | None = None
    proof: str | None = None
    json: bool = False


@dataclass
class Memory:
    """A checkpoint that somebody saw. If it was remembered with a key, no other key may have signed it."""

    who: str
    data: bytes
    key: Key | None = None
    witness: Key | None = None
    checkpoint: Checkpoint | None = None


@dataclass
class Signed:
    """A checkpoint that the key signed, or a key that followed it, and the entries up to its size."""

    checkpoint: Checkpoint
    log: Log
    chain: list[tuple[Key, int | None]]  # the accepted keys in order, each with the largest size that it counts for
    signers: set[Key]

    @property
    def reached(self) -> bool:
        """True if there are so many entries with the root of the checkpoint."""
        size = self.checkpoint.size
        return self.log.count == size and self.log.roots[size] == self.checkpoint.root


class Stop(Exception):
    """The verification ends here."""


class Home:
    """One verification of a home."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.findings: list[Finding] = []
        self._seen: set[tuple[str, str | None, int | None]] = set()
        self.vouched_by: list[str] = []
        self.checkpoint: Checkpoint | None = None
        self.log = Log()
        self.counts = {"users": 0, "files": 0, "lines": 0, "heads": 0, "entries": 0}
        self.now = options.now if options.now is not None else time.time_ns() // 1_000_000
        self._folders = {folder_of(user) for user in options.user}

    # What comes out

    def find(self, verdict: str, file: str | None, line: int | None, text: str) -> None:
        """Notes a finding; `line` counts from 0. Lines of one file are noted once for each word and place."""
        place = (verdict, file, line)
        if file is not None:
            if place in self._seen:
                return
            self._seen.add(place)
        self.findings.append(Finding(verdict, file, None if line is None else line + 1, text))

    def stop(self, verdict: str, text: str) -> NoReturn:
        self.find(verdict, None, None, text)
        raise Stop

    @property
    def verdict(self) -> str:
        return min((finding.verdict for finding in self.findings), key=RANK.__getitem__, default="ok")

    # The steps of section 6

    def run(self) -> None:
        self.folder = Folder(self.options.home)
        try:
            self._read_memories()
            key = self._key()
            try:
                self._checkpoint(key)
                self._entries()
                self._memories()
                self._files()
            except Stop:
                pass
        finally:
            self.folder.close()

    def _read_memories(self) -> None:
        """Reads everything that was seen before. This comes before the checkpoint, which may be replaced meanwhile."""
        options = self.options
        self.memories: list[Memory] = []
        self.witnesses = [key_option(value, COSIGNATURE) for value in options.witness]
        self.remembered_key: Key | None = None
        self.seeds: list[tuple[int, bytes]] = []
        self.not_seeds: list[str] = []
        if options.checkpoint is not None:
            self.memories.append(Memory("checkpoint", read_option_file(options.checkpoint, NOTE_BYTES)))
        if options.remembered is not None:
            data = read_option_file(options.remembered, NOTE_BYTES + SMALL_FILE)
            first, newline, rest = data.partition(b"\n")
            try:
                self.remembered_key = parse_key(first.decode("utf-8"), ED25519)
                data = rest
            except ValueError:
                pass
            self.memories.append(Memory("remembered", data, self.remembered_key))
        if options.keys is not None:
            beside = Folder(options.keys)
            try:
                for name in beside.names():
                    match = re.fullmatch(r"log-(0|[1-9][0-9]{0,8})\.key", name, re.ASCII)
                    if match:
                        seed = beside.read(name)
                        if seed is not None and re.fullmatch(rb"[0-9a-f]{64}\n", seed):
                            self.seeds.append((int(match[1]), bytes.fromhex(seed[:64].decode())))
                        else:
                            self.not_seeds.append(name)
                self.seeds.sort()
                note = beside.read("checkpoint", limit=NOTE_BYTES)
                if note is not None:
                    self.memories.append(Memory("keys", note))
            finally:
                beside.close()
        self.witnesses_without_note = []
        for witness in self.witnesses:
            name = sha256(witness.name.encode()).hex()
            note = self.folder.read(".tooltrail", "log", "witnessed", name, limit=NOTE_BYTES)
            if note is None:
                self.witnesses_without_note.append(witness)
            else:
                self.memories.append(Memory(f"witness {witness.name}", note, witness=witness))
        for memory in self.memories:
            try:
                memory.checkpoint = parse_checkpoint(memory.data)
            except BadNote:
                pass

    def _key(self) -> Key | None:
        """Step 1, as far as it does not need the checkpoint. A key that is made from a seed is named later."""
        self.log_key: Key | None = None
        line = self.folder.read(".tooltrail", "log", "key")
        if line is not None and line.endswith(b"\n"):
            try:
                self.log_key = parse_key(line[:-1].decode("utf-8"), ED25519)
            except ValueError:
                pass
        if self.options.key is not None:
            return key_option(self.options.key, ED25519)
        if self.remembered_key is not None:
            return self.remembered_key
        return None if self.seeds else self.log_key

    def _seed_key(self, seed: bytes, name: str) -> Key:
        return make_key(name, ED25519, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())

    def _checkpoint(self, key: Key | None) -> None:
        """Steps 1 and 2. The entries are read here too, because a change of key needs them."""
        note = self.folder.read(".tooltrail", "log", "checkpoint", limit=NOTE_BYTES)
        if note is not None:
            taken = self._published(note, key)
            self._unpublished(taken, key)
            return
        taken = self._unpublished(None, key)
        if taken is not None:
            self._check_origin(taken)
        elif self.options.key is not None or self.memories or self.witnesses:
            self.stop("missing", "The log is gone: there is no checkpoint.")
        else:
            raise Impossible("there is no log in this home, and nothing to compare with")

    def _published(self, note: bytes, key: Key | None) -> Signed:
        """Checks log/checkpoint."""
        if key is None and not self.seeds:
            raise Impossible("there is no verifier key: log/key is missing or malformed, and none was given")
        try:
            checkpoint = parse_checkpoint(note)
        except BadNote as why:
            self.stop("bad-signature", f"The checkpoint is not valid: {why}.")
        self.checkpoint = checkpoint
        try:
            signed = self._signed(checkpoint, key)
        except BadNote as why:
            remembered = self.options.key is None and self.remembered_key is not None
            own = self.log_key is not None and self.log_key.name == checkpoint.origin
            if remembered and own and self._log_key_signed(checkpoint):
                self.stop("forked", "The checkpoint is signed by log/key, but that is not the key that was remembered.")
            self.stop("bad-signature", f"The checkpoint is not valid: {why}.")
        self._take(signed)
        self._check_origin(signed)
        return signed

    def _unpublished(self, published: Signed | None, key: Key | None) -> Signed | None:
        """Takes the checkpoint beside the key if it is valid and newer: a process was killed before it published it.

        In the place of a checkpoint that is missing only the one of the empty log is taken.
        """
        beside = next((memory.checkpoint for memory in self.memories if memory.who == "keys"), None)
        if beside is None or (key is None and not self.seeds):
            return None
        if published is None:
            taken = beside.size == 0
        else:
            taken = beside.size > published.checkpoint.size and beside.origin == published.checkpoint.origin
        if not taken:
            return None
        try:
            signed = self._signed(beside, key)
        except BadNote:
            return None
        if not signed.reached:
            return None
        self._take(signed)
        return signed

    def _take(self, signed: Signed) -> None:
        self.checkpoint, self.log = signed.checkpoint, signed.log
        self.chain, self.signers = signed.chain, signed.signers

    def _signed(self, checkpoint: Checkpoint, key: Key | None) -> Signed:
        """Checks the signature of a checkpoint; it is a BadNote if the key, or the one that followed, did not sign."""
        if key is None:
            if not is_key_name(checkpoint.origin):
                raise BadNote("its origin cannot be the name of a key")
            key = self._seed_key(self.seeds[-1][1], checkpoint.origin)
        rotations = self._read_rotations(checkpoint.size)
        wanted = {checkpoint.size, *rotations}
        wanted.update(memory.checkpoint.size for memory in self.memories if memory.checkpoint)
        log = Log()
        fd = self.folder.open(".tooltrail", "log", "entries")
        try:
            log.read(fd, checkpoint.size, wanted)
        finally:
            if fd is not None:
                os.close(fd)
        chain = follow_rotations(key, rotations, log)
        candidates = [known for known, _ in chain]
        candidates += [record.key for record in log.last_key_record() if record.key]
        signers = checkpoint.signers(candidates)
        if not signers.intersection(counting(chain, checkpoint.size)):
            raise BadNote("it is not signed by the key")
        return Signed(checkpoint, log, chain, signers)

    def _log_key_signed(self, checkpoint: Checkpoint) -> bool:
        try:
            return self.log_key is not None and self.log_key in checkpoint.signers([self.log_key])
        except BadNote:
            return False

    def _check_origin(self, signed: Signed) -> None:
        checkpoint = signed.checkpoint
        if checkpoint.origin != signed.chain[-1][0].name:
            self.stop("forked", "The checkpoint is of another log: its origin is not the name of the key.")
        match = re.fullmatch(r"tooltrail/([0-9a-f]{32})(/[1-9][0-9]*)?", checkpoint.origin, re.ASCII)
        if match:
            home_id = self.folder.read(".tooltrail", "id")
            if home_id is None or home_id.removesuffix(b"\n") != match[1].encode():
                self.stop("forked", "The checkpoint is of the log of another home.")
        if not self._log_key_signed(checkpoint):
            self.find("forked", None, None, "log/key is missing, or it is not a key that signed the checkpoint.")

    def _read_rotations(self, size: int) -> dict[int, Checkpoint]:
        rotations = {}
        for name in self.folder.names(".tooltrail", "log", "keys"):
            at = decimal(name)
            if at is None or at > size:
                continue
            data = self.folder.read(".tooltrail", "log", "keys", name, limit=NOTE_BYTES)
            try:
                note = parse_checkpoint(data or b"")
            except BadNote:
                continue
            if note.size == at:
                rotations[at] = note
        return rotations

    def _entries(self) -> None:
        """Step 3."""
        assert self.checkpoint is not None
        self.counts["entries"], self.counts["heads"] = self.log.count, self.log.heads
        if self.log.count < self.checkpoint.size:
            self.stop("missing", f"The log has {self.log.count} entries, but {self.checkpoint.size} were signed.")
        if self.log.roots[self.checkpoint.size] != self.checkpoint.root:
            self.stop("bad-signature", "The entries of the log are not what the key signed.")
        if self.log.error is not None:
            self.stop("bad-signature", self.log.error[0].upper() + self.log.error[1:] + ".")
        if any(record.key not in self.signers for record in self.log.last_key_record()):
            self.stop("bad-signature", "The log says that another key signs from there on.")

    def _memories(self) -> None:
        """Step 4."""
        assert self.checkpoint is not None
        for name in self.not_seeds:
            self.find("bad-signature", None, None, f"{name} in the folder of keys is not a signing key.")
        for witness in self.witnesses_without_note:
            self.find("missing", None, None, f"There is no note of the witness {witness.name}.")
        for memory in self.memories:
            note = memory.checkpoint
            if note is None:
                self.find("bad-signature", None, None, f"The checkpoint of “{memory.who}” is not a valid note.")
                continue
            accepted = counting(self.chain, note.size)
            if is_key_name(note.origin):
                accepted += [self._seed_key(seed, note.origin) for _, seed in self.seeds]
            known = [*accepted, *(key for key in (memory.key, memory.witness) if key)]
            if memory.key:
                accepted = [memory.key]
            try:
                signers = note.signers(known)
            except BadNote as why:
                self.find("bad-signature", None, None, f"The checkpoint of “{memory.who}” is not valid: {why}.")
                continue
            if not signers.intersection(accepted):
                self.find("bad-signature", None, None, f"The checkpoint of “{memory.who}” is not signed by the key.")
            elif memory.witness and memory.witness not in signers:
                self.find("bad-signature", None, None, f"The note of “{memory.who}” is not signed by the witness.")
            elif note.origin != self.checkpoint.origin:
                self.find("forked", None, None, f"The checkpoint of “{memory.who}” is of another log.")
            elif note.size > self.checkpoint.size:
                text = f"The log has {self.checkpoint.size} entries, but “{memory.who}” saw {note.size}."
                self.find("rolled-back", None, None, text)
            elif self.log.roots[note.size] != note.root:
                text = f"The first {note.size} entries of the log are not those that “{memory.who}” saw."
                self.find("forked", None, None, text)
            else:
                self.vouched_by.append(memory.who)

    def _files(self) -> None:
        """Steps 5 to 7."""
        keys: dict[str, bytes] = {}
        for folder in self.folder.names(".tooltrail", "names"):
            try:
                line = self.folder.read(".tooltrail", "names", folder)
            except Impossible:
                continue
            if line is not None and re.fullmatch(rb"[0-9a-f]{64}\n", line):
                keys[folder] = bytes.fromhex(line[:64].decode())
        present: set[bytes] = set()
        for folder in sorted({*keys, *self.folder.names()} - {".tooltrail"}):
            if self._folders and folder not in self._folders:
                continue
            key = keys.get(folder)
            self.counts["users"] += key is not None
            for file in self.folder.names(folder, "tool_audit"):
                date = file.removesuffix(".jsonl")
                if date == file or not is_day(date) or not self._chosen_day(date):
                    continue
                fd = self.folder.open(folder, "tool_audit", file)
                if fd is None:
                    continue
                try:
                    self.counts["files"] += 1
                    chains: list[Chain] = []
                    if key is not None:
                        name = keyed_name(key, folder, date)
                        present.add(name)
                        chains = self.log.names.get(name, [])
                    self._file(folder, date, fd, chains)
                finally:
                    os.close(fd)
        self._heads_without_file(keys, present)

    def _chosen_day(self, date: str) -> bool:
        first, last = self.options.first_day, self.options.last_day
        return (first is None or first <= date) and (last is None or date <= last)

    def _file(self, folder: str, date: str, fd: int, chains: list[Chain]) -> None:
        status = os.fstat(fd)
        size, changed = status.st_size, status.st_mtime_ns // 1_000_000
        label = f"{folder}/{date}"
        end_byte, end_line = 0, 0
        chains = [chain for chain in chains if chain.heads]
        if chains and chains[-1].ended is None:
            heads = chains[-1].parsed()
            if not self._trees(folder, date, fd, size, heads, chains[-1].lines):
                return
            end_byte, end_line = heads[-1].bytes, heads[-1].first_line + heads[-1].entries
        elif chains:
            # The file was removed, as the log says, but there is one. Is it the old one?
            heads = trees_of(chains[-1].parsed())[-1]
            if Scan(fd, size, heads, erased_lines(chains[-1].lines, heads)).well:
                if chains[-1].ended == "erase":
                    self.find("modified", label, None, "The log says that this file was erased, but it is there.")
                end_byte, end_line = heads[-1].bytes, heads[-1].first_line + heads[-1].entries
        if size > end_byte:
            if abs(self.now - changed) <= self.options.max_tail * 1000:
                self.find("ok-unsealed-tail", label, end_line, "The last lines are not sealed yet.")
            else:
                self.find("unsealed", label, end_line, "The lines from here on are not sealed, but should be.")

    def _trees(
        self, folder: str, date: str, fd: int, size: int, heads: list[Head], lines: list[tuple[int, int, bytes, bytes]]
    ) -> bool:
        """Section 7. Says if the newest tree is well."""
        label = f"{folder}/{date}"
        for tree in trees_of(heads):
            newest = tree[-1]
            erased = erased_lines(lines, tree)
            scan = Scan(fd, size, tree, erased)
            self.counts["lines"] += min(scan.count, newest.entries)
            for line in scan.erased:
                self.find("erased", label, line, "This line was erased, and the log says so.")
            for line in scan.not_erased:
                self.find("modified", label, line, "The log says that this line was erased, but it is still there.")
            for line in scan.incidents:
                self.find("incident", label, line, "A line of spaces stands where damage was found.")
            if scan.well:
                continue
            found = FoundLeaves()
            scan = Scan(fd, size, tree, erased, found)
            cache = f"{date}.{newest.broken}" if newest.flags & 2 else date
            result = None
            cache_fd = self.folder.open(".tooltrail", "seal", folder, cache)
            if cache_fd is not None:
                try:
                    if os.fstat(cache_fd).st_size // 32 >= newest.entries > 0:
                        cached = CachedLeaves(cache_fd, newest.entries)
                        if cached.root() == newest.root:
                            result = compare(found, cached)
                finally:
                    os.close(cache_fd)
            if result is not None:
                word, position = result
                text = {
                    "truncated": f"The file ends here, but the tree has {newest.entries} lines.",
                    "reordered": "From here on the lines are in another order.",
                    "inserted": "From here on there are lines that were not sealed here.",
                    "missing": "From here on lines are missing.",
                    "modified": "From here on lines are not those that were sealed.",
                }[word]
                self.find(word, label, newest.first_line + position, text)
                continue
            failed = next((number for number, holds in enumerate(scan.holds) if not holds), None)
            if failed is None:  # the file changed between the two looks
                continue
            if scan.count < tree[failed].entries:
                text = f"The file ends here, but the tree has {newest.entries} lines."
                self.find("truncated", label, newest.first_line + scan.count, text)
            else:
                good = tree[failed - 1].entries if failed else 0
                last = newest.first_line + tree[failed].entries
                self.find("modified", label, newest.first_line + good, f"A line between here and line {last} differs.")
        return scan.well

    def _heads_without_file(self, keys: dict[str, bytes], present: set[bytes]) -> None:
        """Step 6."""
        orphans = {}
        for name, chains in self.log.names.items():
            if name not in present and any(chain.heads for chain in chains):
                orphans[name] = [chain for chain in chains if chain.heads]
        if not orphans:
            return
        labels = self._link(keys, set(orphans))
        for name, chains in orphans.items():
            label = labels.get(name)
            if label is None and (self._folders or self.options.first_day or self.options.last_day):
                continue
            words = {None: "missing", "erase": "erased", "prune": "pruned"}
            for word in dict.fromkeys(words[chain.ended] for chain in chains):
                text = {
                    "erased": "A file was erased, and the log says so.",
                    "pruned": "A file was removed by the retention, and the log says so.",
                    "missing": "A file that was sealed is gone.",
                }[word]
                self.find(word, label, None, text)

    def _link(self, keys: dict[str, bytes], names: set[bytes]) -> dict[bytes, str]:
        """Links keyed names to files that are gone, by trying each day since 2000 with each name key."""
        labels: dict[bytes, str] = {}
        today = datetime.date(1970, 1, 1).toordinal() + max(0, min(self.now // 86_400_000, 2_000_000))
        for folder, key in keys.items():
            if self._folders and folder not in self._folders:
                continue
            for day in range(today + 1, datetime.date(2000, 1, 1).toordinal() - 1, -1):
                date = datetime.date.fromordinal(day).isoformat()
                if not self._chosen_day(date):
                    continue
                name = keyed_name(key, folder, date)
                if name in names:
                    labels[name] = f"{folder}/{date}"
                    if len(labels) == len(names):
                        return labels
        return labels


def counting(chain: list[tuple[Key, int | None]], size: int) -> list[Key]:
    """The accepted keys that count for a checkpoint of this size."""
    return [key for key, most in chain if most is None or size <= most]


def follow_rotations(key: Key, rotations: dict[int, Checkpoint], log: Log) -> list[tuple[Key, int | None]]:
    """Section 5: the key that is trusted and those that follow it, each with the largest size that it counts for."""
    chain: list[tuple[Key, int | None]] = []
    for size in sorted(rotations):
        note = rotations[size]
        record = log.keys.get(size - 1)
        if record is None or record.key is None or record.lost or record.key == key:
            continue
        try:
            signers = note.signers([key, record.key])
        except BadNote:
            continue
        if key in signers and record.key in signers and log.roots.get(size) == note.root:
            chain.append((key, size))
            key = record.key
    return [*chain, (key, None)]


def keyed_name(key: bytes, folder: str, date: str) -> bytes:
    return name_of_day(hmac.digest(key, date.encode(), "sha256"), os.fsencode(folder), date)


def name_of_day(day_key: bytes, folder: bytes, date: str) -> bytes:
    return hmac.digest(day_key, folder + b"/" + date.encode(), "sha256")


def trees_of(heads: list[Head]) -> list[list[Head]]:
    trees: list[list[Head]] = []
    for head in heads:
        if trees and trees[-1][-1].tree == head.tree:
            trees[-1].append(head)
        else:
            trees.append([head])
    return trees


def erased_lines(lines: list[tuple[int, int, bytes, bytes]], tree: list[Head]) -> dict[int, tuple[bytes, bytes]]:
    """The erased lines of a tree: for each line of the file the leaf before the first and after the last erasure.

    A record that is older than the tree does not count: when the tree began, the line was erased already.
    """
    erased: dict[int, tuple[bytes, bytes]] = {}
    for index, line, old, new in lines:
        if index > tree[0].index:
            erased[line] = (erased[line][0] if line in erased else old, new)
    return erased


class Scan:
    """Reads the lines of one tree once, and checks each of its heads."""

    def __init__(
        self,
        fd: int,
        size: int,
        heads: list[Head],
        erased: dict[int, tuple[bytes, bytes]],
        found: FoundLeaves | None = None,
    ) -> None:
        self.holds = [False] * len(heads)
        self.erased: list[int] = []
        self.not_erased: list[int] = []
        self.incidents: list[int] = []
        self.count = 0
        newest = heads[-1]
        first = newest.first_line
        # Without a list of the leaves to fill, nothing after the last line that matters needs to be read.
        needed = max([newest.entries, *(line - first + 1 for line in erased)])
        tree = Tree()
        at, end = 0, newest.first_byte
        while at < len(heads) and heads[at].entries == 0:
            self._check(at, heads[at], tree, end)
            at += 1
        for leaf, end, blank in lines_of(fd, newest.first_byte, size):
            was_erased = False
            record = erased.get(first + self.count) if erased else None
            if record is not None:
                old, new = record
                if leaf == new:
                    leaf, was_erased = old, True
                    self.erased.append(first + self.count)
                elif leaf == old:
                    self.not_erased.append(first + self.count)
            if blank and not was_erased and self.count < newest.entries:
                self.incidents.append(first + self.count)
            if self.count < newest.entries:
                tree.add(leaf)
            if found is not None:
                found.data += leaf
            self.count += 1
            while at < len(heads) and heads[at].entries == self.count:
                self._check(at, heads[at], tree, end)
                at += 1
            if found is None and self.count >= needed:
                break

    def _check(self, at: int, head: Head, tree: Tree, end: int) -> None:
        self.holds[at] = head.bytes == end and head.root == tree.root()

    @property
    def well(self) -> bool:
        return all(self.holds)


# ---------------------------------------------------------------------------------------------------------------------
# Verifying a proof


def verify_proof(options: Options) -> tuple[str, list[Finding], Checkpoint | None]:
    if options.key is None or options.proof is None:
        raise Impossible("a proof needs the verifier key of the log: --key")
    key = key_option(options.key, ED25519)
    data = read_option_file(options.proof, PROOF_BYTES)
    if len(data) > PROOF_BYTES:
        raise Impossible("the proof is too long")
    index, path, extra, checkpoint = parse_proof(data)

    def bad(word: str, text: str) -> tuple[str, list[Finding], Checkpoint | None]:
        return word, [Finding(word, None, None, text)], checkpoint

    try:
        if key not in checkpoint.signers([key]):
            return bad("bad-signature", "The checkpoint of the proof is not signed by the key.")
    except BadNote as why:
        return bad("bad-signature", f"The checkpoint of the proof is not valid: {why}.")
    if checkpoint.origin != key.name:
        return bad("bad-signature", "The checkpoint of the proof is of another log.")
    if not includes(checkpoint.root, checkpoint.size, index, sha256(b"\x00" + extra.head), path):
        return bad("modified", "The head is not the entry of the log that the proof says.")
    try:
        head = parse_head(index, extra.head)
    except BadEntry as why:
        return bad("modified", f"The head of the proof is malformed: {why}.")
    if head.name != name_of_day(extra.day_key, extra.folder.encode(), extra.date):
        return bad("modified", "The head is of another file than the proof says.")
    if not includes(head.root, head.entries, extra.leaf, sha256(b"\x00" + extra.line), extra.path):
        return bad("modified", "The line is not the one that was sealed at this place.")
    return "ok", [], checkpoint


@dataclass
class Extra:
    line: bytes
    head: bytes
    leaf: int
    path: list[bytes]
    folder: str
    date: str
    day_key: bytes


def parse_proof(data: bytes) -> tuple[int, list[bytes], Extra, Checkpoint]:
    """Reads a proof. What has not the form of a proof is refused."""
    cut = data.find(b"\n\n")
    if cut < 0:
        raise Impossible("this is no proof: it has no checkpoint")
    try:
        lines = data[:cut].decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise Impossible("this is no proof: it is not UTF-8") from None
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise Impossible("this is no proof: its first line is another one")
    if len(lines) < 3 or not lines[1].startswith("extra "):
        raise Impossible("this is no proof of an entry: it has no extra data")
    try:
        extra = parse_extra(read_json(unbase64(lines[1].removeprefix("extra "))))
    except ValueError:
        raise Impossible("this is no proof of an entry: its extra data is malformed") from None
    index = decimal(lines[2].removeprefix("index ")) if lines[2].startswith("index ") else None
    if index is None:
        raise Impossible("this is no proof: it has no index")
    try:
        path = [hash_of(line) for line in lines[3:]]
    except ValueError:
        raise Impossible("this is no proof: a line of its path is not a hash") from None
    try:
        checkpoint = parse_checkpoint(data[cut + 2 :])
    except BadNote as why:
        raise Impossible(f"this is no proof: its checkpoint is malformed: {why}") from None
    return index, path, extra, checkpoint


def parse_extra(value: dict[str, Any]) -> Extra:
    texts = [value.get(member) for member in ("line", "head", "folder", "date")]
    if not all(isinstance(text, str) for text in texts) or not is_count(value.get("leaf")):
        raise ValueError
    line, head, folder, date = (str(text) for text in texts)
    folder.encode(), date.encode()  # refuses texts that are not UTF-8
    path = [hash_of(item) for item in array(value.get("path"))]
    return Extra(line.encode(), unbase64(head), value["leaf"], path, folder, date, hash_of(value.get("day_key")))


# ---------------------------------------------------------------------------------------------------------------------
# The command


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Impossible(message)


def parse_options(arguments: list[str]) -> Options:
    def day(text: str) -> str:
        if not is_day(text):
            raise argparse.ArgumentTypeError("a day has the form YYYY-MM-DD")
        return text

    def number(text: str) -> int:
        value = decimal(text)
        if value is None:
            raise argparse.ArgumentTypeError("this is not a number")
        return value

    parser = Parser(prog="tooltrail_verify.py", description="Verifies a tooltrail home, or the proof of one entry.")
    parser.add_argument("home", nargs="?", metavar="HOME", help="the home to verify")
    parser.add_argument("--key", metavar="VKEY|FILE", help="the verifier key of the log, or a file that holds it")
    parser.add_argument("--keys", metavar="DIR", help="the folder of keys, outside the home")
    parser.add_argument("--checkpoint", metavar="FILE", help="a checkpoint that was seen before")
    parser.add_argument("--remembered", metavar="FILE", help="the verifier key and the checkpoint of the last time")
    parser.add_argument("--witness", metavar="VKEY", action="append", default=[], help="the key of a witness")
    parser.add_argument("--user", metavar="U", action="append", default=[], help="only the files of this user")
    parser.add_argument("--from", metavar="D", dest="first_day", type=day, help="only files of this day and later")
    parser.add_argument("--to", metavar="D", dest="last_day", type=day, help="only files of this day and earlier")
    parser.add_argument("--max-tail", metavar="SECONDS", type=number, default=60, help="how old unsealed lines may be")
    parser.add_argument("--now", metavar="MS", type=number, help="the time, in milliseconds since 1970 UTC")
    parser.add_argument("--proof", metavar="FILE", help="verify this proof of one entry instead of a home")
    parser.add_argument("--json", action="store_true", help="write one JSON object to stdout")
    options = Options(**vars(parser.parse_args(arguments)))
    if options.proof is None and options.home is None:
        raise Impossible("name a home, or a proof with --proof")
    if options.proof is not None and options.home is not None:
        raise Impossible("name either a home or a proof, not both")
    if options.proof is not None and options.key is None:
        raise Impossible("a proof needs the verifier key of the log: --key")
    return options


def verify_home(options: Options) -> Home:
    """Verifies a home. If something is wrong it looks again, because writers may be at work."""
    for look in range(LOOKS):
        home = Home(options)
        home.run()
        if RANK[home.verdict] >= FIRST_GOOD:
            break
        if look == 0:
            first = home
        elif [str(finding) for finding in home.findings] == [str(finding) for finding in first.findings]:
            break
        if look + 1 < LOOKS:
            time.sleep(LOOK_AGAIN_AFTER)
    return home


def execute(options: Options) -> int:
    if options.proof is not None:
        verdict, findings, checkpoint = verify_proof(options)
        vouched_by: list[str] = []
        counts: dict[str, int] = {}
    else:
        home = verify_home(options)
        verdict, findings, checkpoint = home.verdict, home.findings, home.checkpoint
        vouched_by, counts = home.vouched_by, home.counts
    findings = sorted(findings, key=lambda f: (f.file is not None, f.file or "", f.line or 0, RANK[f.verdict]))
    write(sys.stderr, "".join(f"{finding}\n" for finding in findings))
    if options.json:
        value = {
            "verdict": verdict,
            "findings": [vars(finding) for finding in findings],
            "vouched_by": vouched_by,
            "checkpoint": checkpoint
            and {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": base64.b64encode(checkpoint.root).decode(),
            },
            "counts": counts,
        }
        write(sys.stdout, json.dumps(value) + "\n")
    else:
        write(sys.stdout, verdict + "\n")
    return 0 if RANK[verdict] >= FIRST_GOOD else 1


def write(stream: Any, text: str) -> None:
    """Writes a text, whatever the encoding of the stream is."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def main(arguments: list[str]) -> int:
    try:
        options = parse_options(arguments)
        return execute(options)
    except Impossible as why:
        text = str(why)
    except OSError as error:
        text = f"cannot read: {reason(error)}"
    except MemoryError:
        text = "there is not enough memory"
    if "--json" in arguments:
        write(sys.stdout, json.dumps({"verdict": None, "error": text}) + "\n")
    write(sys.stderr, f"error: {shown(text)}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
