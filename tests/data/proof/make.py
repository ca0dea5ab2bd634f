#!/usr/bin/env python3
"""Makes the test vectors of the proof: small homes and proofs, and what a verifier must say about them.

    make.py [FOLDER]        (the folder `v1` beside this script, if none is given; it is replaced)

This is a writer of its own, made from docs/proof.md; it shares no code with a verifier. Keys, seeds, ids and times are
fixed, so each run makes the same bytes. It needs Python 3.11 and the package `cryptography`.

Each folder FOLDER/NAME holds one case:

    home/        the home
    keys/        the folder of keys, in some cases
    ...          other files that an option names
    case.json    {"why", "args", "verdict", "exit", "findings", "mtimes"}

`args` are the options; their paths are relative to the case. `home` is not among them unless the case is a proof: then
there is no home. `findings` are [word, "FOLDER/DATE" or null, line from 1 or null], and their order does not count. A
finding about a file whose name cannot be found has null.
`verdict` is null if the exit status is 2. `mtimes` are the modification times of files of the home, in milliseconds;
for all other day files it is one hour before `now`. Whoever runs a case copies it and sets those times first.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import shutil
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_795_521_600_000  # 2026-11-24T12:00:00Z
START = NOW - 30 * 3_600_000
NONE = (1 << 64) - 1
MOST_BYTES = 1_500_000

A23, A24, B23, B24 = ("alice", "2026-11-23"), ("alice", "2026-11-24"), ("bob", "2026-11-23"), ("bob", "2026-11-24")


def fixed(label):
    """32 bytes that are always the same for one label."""
    return hashlib.sha256(b"tooltrail test vectors: " + label.encode()).digest()


def sha256(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


# The Merkle tree of RFC 6962, written down as the RFC defines it.


def leaf_of(line):
    return sha256(b"\x00" + line)


def split_of(size):
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split_of(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path_of(index, leaves):
    if len(leaves) == 1:
        return []
    k = split_of(len(leaves))
    if index < k:
        return path_of(index, leaves[:k]) + [mth(leaves[k:])]
    return path_of(index - k, leaves[k:]) + [mth(leaves[:k])]


# Keys and notes.


class Signer:
    """An Ed25519 key of a log (type 1) or of a witness (type 4), made from a seed."""

    def __init__(self, name, seed, kind=1):
        self.name, self.seed, self.kind = name, seed, kind
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        material = bytes([kind]) + self.private.public_key().public_bytes_raw()
        self.id = sha256(name.encode() + b"\n" + material)[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(material)}"

    def sign(self, text, at=1_795_521_000):
        if self.kind == 4:
            message = b"cosignature/v1\ntime %d\n" % at + text
            return self.line(at.to_bytes(8, "big") + self.private.sign(message))
        return self.line(self.private.sign(text))

    def line(self, signature):
        return f"\u2014 {self.name} {b64(self.id + signature)}\n".encode()


def body_of(origin, size, root):
    return f"{origin}\n{size}\n{b64(root)}\n".encode()


def note_of(body, *signers):
    return body + b"\n" + b"".join(signer.sign(body) for signer in signers)


WITNESS = Signer("witness.example/w1", fixed("witness 1"), 4)
OTHER_WITNESS = Signer("witness.example/w2", fixed("witness 2"), 4)
STRANGER = Signer("stranger.example/key", fixed("stranger"))


# Lines of day files.


def line_of(user, date, number):
    clock = f"{8 + number // 60:02}:{number % 60:02}:{number * 7 % 60:02}.{number * 37 % 1000:03}Z"
    return (
        f'{{"ts":"{date}T{clock}","user":"{user}","tool":"fs.read","args":{{"path":"notes/{number}.md"}},'
        f'"status":"ok","result_chars":{10 + number},"result_snippet":"{number}"}}'
    ).encode()


def erased_line(line):
    """The line that an erasure leaves: of the same length, or only spaces."""
    entry = json.loads(line)
    head = f'{{"ts":"{entry["ts"]}","user":"{entry["user"]}","tool":"tooltrail.erased","args":{{'.encode()
    tail = b'},"status":"ok","result_chars":0,"result_snippet":""}'
    spaces = len(line) - len(head) - len(tail)
    return head + b" " * spaces + tail if spaces >= 0 else b" " * len(line)


# A home and its log.


class Tree:
    def __init__(self, first_line=0, first_byte=0, broken=None):
        self.first_line, self.first_byte, self.broken = first_line, first_byte, broken
        self.leaves = []


class Home:
    """Writes day files, seals them and keeps the folder of keys."""

    def __init__(self, label="home", seed="log 1", origin=None):
        self.id = fixed("id of " + label).hex()[:32]
        self.origin = origin or f"tooltrail/{self.id}"
        self.signers = [Signer(self.origin, fixed(seed))]
        self.names = {}  # folder: name key
        self.days = {}  # (folder, date): the bytes of the file
        self.trees = {}  # (folder, date): the tree that grows
        self.caches = {}  # (folder, name of the cache): leaves
        self.last = {}  # keyed name: index of the newest head
        self.entries = []
        self.rotations = {}
        self.witnessed = {}
        self.at = START
        self.lines_made = {}
        self.note = None
        self.with_caches = False

    @property
    def signer(self):
        return self.signers[-1]

    @property
    def vkey(self):
        return self.signer.vkey

    # Day files

    def write(self, file, *lines):
        """Appends lines; a number stands for so many new lines."""
        self.names.setdefault(file[0], fixed("name key of " + file[0]))
        data = self.days.setdefault(file, bytearray())
        for item in lines:
            if isinstance(item, int):
                for _ in range(item):
                    number = self.lines_made.get(file, 0)
                    self.lines_made[file] = number + 1
                    data += line_of(*file, number) + b"\n"
            else:
                data += item + b"\n"
        return self

    def lines(self, file):
        return bytes(self.days[file]).split(b"\n")[:-1]

    # The log

    def day_key(self, file):
        return hmac.digest(self.names[file[0]], file[1].encode(), "sha256")

    def name(self, file):
        return hmac.digest(self.day_key(file), f"{file[0]}/{file[1]}".encode(), "sha256")

    def append(self, entry):
        self.entries.append(entry)
        return len(self.entries) - 1

    def record(self, kind, **members):
        self.at += 1000
        value = {"type": kind, "at": self.at, "by": "owner", "why": "a test", **members}
        return self.append(json.dumps(value, separators=(",", ":")).encode())

    def head(self, name, root, entries, end, prev, flags=0, tree=None):
        self.at += 1000
        data = bytes([1, flags]) + name + root
        data += b"".join(number.to_bytes(8, "big") for number in (entries, end, prev, self.at))
        if flags & 2:
            data += b"".join(n.to_bytes(8, "big") for n in (tree.first_line, tree.first_byte, tree.broken))
        return data

    def seal(self, file, adopted=False, entries=None, end=None, prev=None):
        """Seals all whole lines of a file. The last three values replace the true ones, for wrong heads."""
        data = bytes(self.days[file])
        tree = self.trees.setdefault(file, Tree())
        rest = data[tree.first_byte :]
        lines = rest.split(b"\n")[:-1]
        for line in lines[len(tree.leaves) :]:
            tree.leaves.append(leaf_of(line))
        name = self.name(file)
        true_end = tree.first_byte + sum(len(line) + 1 for line in lines[: len(tree.leaves)])
        head = self.head(
            name,
            mth(tree.leaves),
            len(tree.leaves) if entries is None else entries,
            true_end if end is None else end,
            self.last.get(name, NONE) if prev is None else prev,
            (1 if adopted else 0) | (0 if tree.broken is None else 2),
            tree,
        )
        self.last[name] = self.append(head)
        self.caches[file[0], file[1] if tree.broken is None else f"{file[1]}.{tree.broken}"] = tree.leaves
        return self

    def new_tree(self, file):
        """Begins a new tree, because the file does not match its newest head any more."""
        old, broken = self.trees[file], self.last[self.name(file)]
        end = int.from_bytes(self.entries[broken][74:82], "big")
        data = bytes(self.days[file])
        if len(data) < end or data[end - 1 : end] != b"\n":
            end = 0
        self.trees[file] = Tree(data[:end].count(b"\n"), end, broken)
        assert old is not self.trees[file]
        return self

    def erase_lines(self, file, numbers, text=erased_line, overwrite=True):
        """Records that lines were erased, and overwrites them."""
        lines = self.lines(file)
        items = []
        for number in numbers:
            old, new = lines[number], text(lines[number])
            name = b64(self.name(file))
            items.append({"name": name, "line": number, "old": b64(leaf_of(old)), "new": b64(leaf_of(new))})
            lines[number] = new
        self.record("erase", lines=items)
        if overwrite:
            self.days[file] = bytearray(b"".join(line + b"\n" for line in lines))
        return self

    def remove(self, kind, *files, really=True):
        """Records that files were erased or pruned, and removes them with their caches."""
        self.record(kind, files=[b64(self.name(file)) for file in files])
        for file in files:
            self.last.pop(self.name(file), None)
            self.trees.pop(file, None)
            self.caches = {cache: v for cache, v in self.caches.items() if (cache[0], cache[1][:10]) != file}
            if really:
                del self.days[file]
        return self

    def body(self, size=None):
        leaves = [leaf_of(entry) for entry in self.entries]
        size = len(leaves) if size is None else size
        return body_of(self.origin, size, mth(leaves[:size]))

    def publish(self):
        self.note = note_of(self.body(), self.signer)
        return self

    def rotate(self, label, lost=False):
        """Changes the signing key."""
        new = Signer(self.origin, fixed(label))
        self.record("key", key=new.vkey, **({"lost": True} if lost else {}))
        signers = [new] if lost else [self.signer, new]
        self.note = self.rotations[len(self.entries)] = note_of(self.body(), *signers)
        self.signers.append(new)
        return self

    def witness(self, size=None, witness=WITNESS):
        """The note of a witness, which goes into the home."""
        body = self.body(size)
        self.witnessed[witness.name] = note_of(body, self.signer, witness)
        return self

    # Files

    def files(self):
        """All files of the home as a dictionary of paths."""
        files = {".tooltrail/id": self.id.encode() + b"\n"}
        for (folder, date), data in self.days.items():
            files[f"{folder}/tool_audit/{date}.jsonl"] = bytes(data)
        for folder, key in self.names.items():
            files[f".tooltrail/names/{folder}"] = key.hex().encode() + b"\n"
        if self.with_caches:
            for (folder, name), leaves in self.caches.items():
                files[f".tooltrail/seal/{folder}/{name}"] = b"".join(leaves)
        log = ".tooltrail/log/"
        files[log + "entries"] = packed(self.entries)
        if self.note:
            files[log + "checkpoint"] = self.note
        files[log + "key"] = self.vkey.encode() + b"\n"
        for size, note in self.rotations.items():
            files[f"{log}keys/{size}"] = note
        for name, note in self.witnessed.items():
            files[log + "witnessed/" + sha256(name.encode()).hex()] = note
        return files

    def keys(self, note=None):
        """The files of the folder of keys."""
        files = {f"keys/log-{n + 1}.key": signer.seed.hex().encode() + b"\n" for n, signer in enumerate(self.signers)}
        files["keys/checkpoint"] = note or self.note
        return files

    def remembered(self, note=None):
        return {"remembered": self.vkey.encode() + b"\n" + (note or self.note)}


def packed(entries):
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def log_caches(entries):
    """The hashes of each level that are complete, and the offset of each 256th entry."""
    files = {}
    hashes, level = [leaf_of(entry) for entry in entries], 0
    while hashes:
        files[f".tooltrail/log/hashes-{level}"] = b"".join(hashes)
        hashes = [mth(hashes[i : i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
        level += 1
    offsets = [len(packed(entries[:i])).to_bytes(8, "big") for i in range(0, len(entries), 256)]
    if offsets:
        files[".tooltrail/log/bundles"] = b"".join(offsets)
    return files


# The cases.


class Cases:
    def __init__(self, folder):
        self.folder = folder
        self.bytes = 0
        self.verdicts = {}

    def add(self, name, why, home, verdict, findings=(), extra=None, mtimes=None, **args):
        """Writes one case. `home` is a Home, its files, or None for a proof."""
        folder = self.folder / name
        if folder.exists():
            raise ValueError(f"there are two cases of the name {name}")
        files = dict(extra or {})
        if home is not None:
            files |= {"home/" + path: data for path, data in (home.files() if isinstance(home, Home) else home).items()}
            args.setdefault("now", NOW)
        good = ("incident", "erased", "pruned", "ok-unsealed-tail", "ok")
        code = 2 if verdict is None else 0 if verdict in good else 1
        case = {
            "why": why,
            "args": args,
            "verdict": verdict,
            "exit": code,
            "findings": [list(finding) for finding in findings],
            "mtimes": mtimes or {},
        }
        text = json.dumps(case, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        files["case.json"] = text.encode()
        for path, data in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            self.bytes += len(data)
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1


def label(file):
    return f"{file[0]}/{file[1]}"


def path(file):
    return f"{file[0]}/tool_audit/{file[1]}.jsonl"


def cache(file, broken=None):
    return f".tooltrail/seal/{file[0]}/{file[1]}" + ("" if broken is None else f".{broken}")


LOG = ".tooltrail/log/"
BAD = [("bad-signature", None, None)]
FORKED = [("forked", None, None)]
MISSING = [("missing", None, None)]
ROLLED_BACK = [("rolled-back", None, None)]


def single():
    """One day of one user with two heads and its cache. The log has two entries."""
    home = Home()
    home.with_caches = True
    home.write(A23, 5).seal(A23)
    home.write(A23, 7).seal(A23)
    return home.publish()


def standard(seed="log 1", origin=None, caches=False):
    """Two users and two days; the first file has two heads. The log has five entries."""
    home = Home("home", seed, origin)
    home.with_caches = caches
    home.write(A23, 5).seal(A23)
    home.write(B23, 5).seal(B23)
    home.write(A23, 7).seal(A23)
    home.write(A24, 4).seal(A24)
    home.write(B24, 3).seal(B24)
    return home.publish()


def small():
    """One day of each user, one head each."""
    home = Home()
    home.write(A23, 6).seal(A23)
    home.write(B23, 5).seal(B23)
    return home.publish()


def with_lines(home, file, change, drop=()):
    """The files of a home after its owner's program was not the one that changed a day file."""
    files = home.files()
    lines = files[path(file)].split(b"\n")[:-1]
    changed = change(list(lines))
    files[path(file)] = b"".join(line + b"\n" for line in changed)
    for name in drop:
        del files[name]
    return files


def edited(line):
    return line.replace(b"ok", b"no", 1)


def at(number, change=edited):
    """Changes one line."""

    def act(lines):
        lines[number] = change(lines[number])
        return lines

    return act


def good_cases(cases):
    home = standard(caches=True)
    cases.add("ok-log-key", "Nothing is given: the key is log/key.", home, "ok")
    home.with_caches = False
    cases.add("ok-keys", "The folder of keys is given.", home, "ok", extra=home.keys(), keys="keys")
    extra = home.keys() | {"keys/log-2.key": home.signer.seed.hex().encode()[:-1] + b"\n"}
    text = "A file in the folder of keys is named like a key and is none."
    cases.add("keys-not-a-seed", text, home, "bad-signature", BAD, extra=extra, keys="keys")
    extra = {"key.txt": home.vkey.encode() + b"\n"}
    text = "The key is given as a file. There are no caches."
    cases.add("ok-key-file", text, home, "ok", extra=extra, key="key.txt")

    files = home.files()
    for name in (cache(A23), cache(B23), LOG + "hashes-0", LOG + "bundles"):
        files[name] = fixed("rubbish")
    text = "Caches with rubbish do not matter as long as all heads hold."
    cases.add("ok-wrong-caches", text, files, "ok", key=home.vkey)

    files = home.files()
    files[LOG + "entries"] += b"\x00\x62\x01\x00half an entry"
    cases.add("ok-entries-beyond", "Bytes after the size of the checkpoint are ignored.", files, "ok", key=home.vkey)

    long = Home()
    long.with_caches = True
    for number in range(150):
        long.write(A23, b'{"n":%d}' % number).seal(A23)
        long.write(B23, b'{"m":%d}' % number).seal(B23)
    long.publish()
    files = long.files() | log_caches(long.entries)
    note = note_of(long.body(257), long.signer)
    text = "A log of 300 entries with all caches, and a memory of 257 of them."
    cases.add("ok-300-entries", text, files, "ok", extra=long.remembered(note), remembered="remembered")

    tail_cases(cases)

    home = Home()
    home.write(A23, 9).seal(A23, adopted=True)
    home.write(A23, 3).seal(A23)
    home.write(B23, 4).seal(B23, adopted=True)
    home.publish()
    cases.add("ok-adopted", "Files of another program, sealed for the first time.", home, "ok", key=home.vkey)

    home = Home()
    odd = [b"", b"not JSON", b"\xff\xfe broken UTF-8 \x00", b"ends with a return\r", b"", b" {} ", b"\t"]
    home.write(A23, 2, *odd).seal(A23)
    home.write(A23, b"", 1, b"\xc3").seal(A23)
    home.write(B23, b"x" * 5000).seal(B23)
    home.publish()
    cases.add("ok-odd-lines", "Blank, broken and foreign lines are lines too.", home, "ok", key=home.vkey)

    home = standard(origin="example.com/our-log")
    cases.add("ok-configured-origin", "The owner configured another origin.", home, "ok", key=home.vkey)

    home = Home().publish()
    cases.add("ok-empty-log", "A log without entries.", home, "ok", key=home.vkey)

    zoe = ("%5Ao%C3%AB", "2026-11-23")
    home = Home()
    home.write(zoe, 4).seal(zoe)
    home.with_caches = True
    home.write(B23, 4).seal(B23)
    home.publish()
    files = with_lines(home, B23, at(2))
    text = "Only the user Zoë is checked; the file of another user is modified."
    cases.add("choice-of-user-ok", text, files, "ok", key=home.vkey, user=["Zoë"])
    text = "Only bob is checked, whose file is modified."
    found = [("modified", label(B23), 3)]
    cases.add("choice-of-user-modified", text, files, "modified", found, key=home.vkey, user=["bob"])

    home = standard(caches=True)
    files = with_lines(home, A23, at(6))
    del files[path(B23)]
    text = "Only the newer day is checked; two files of the other day are damaged."
    cases.add("choice-of-days-ok", text, files, "ok", key=home.vkey, **{"from": "2026-11-24"})
    found = [("modified", label(A23), 7), ("missing", label(B23), None)]
    text = "Only the older day is checked."
    cases.add("choice-of-days-missing", text, files, "missing", found, key=home.vkey, to="2026-11-23")


def tail_cases(cases):
    home = standard()
    home.write(B24, 3)
    tail, unsealed = [("ok-unsealed-tail", label(B24), 4)], [("unsealed", label(B24), 4)]

    def add(name, why, changed, found, **more):
        times = {path(B24): changed}
        cases.add(name, why, home, found[0][0], found, mtimes=times, key=home.vkey, **more)

    add("ok-unsealed-tail-60s", "The file was changed exactly max-tail ago.", NOW - 60_000, tail)
    add("unsealed-60s", "The file was changed a millisecond before max-tail.", NOW - 60_001, unsealed)
    add("ok-unsealed-tail-ahead", "The time of the file is exactly max-tail after now.", NOW + 60_000, tail)
    add("unsealed-ahead", "The time of the file is a millisecond more than max-tail after now.", NOW + 60_001, unsealed)
    text = "The option max-tail allows two hours; the file is one hour old."
    add("ok-unsealed-tail-option", text, NOW - 3_600_000, tail, max_tail=7200)

    home = standard()
    home.days[B24] += b'{"ts":"2026-11-24T11:'
    add("ok-unsealed-tail-half-line", "A line without its newline is a tail too.", NOW - 1_000, tail)

    home, new = small(), ("bob", "2026-11-22")
    home.write(new, 2)
    text = "A file without any head is a tail as a whole; it is an hour old."
    cases.add("unsealed-new-file", text, home, "unsealed", [("unsealed", label(new), 1)], key=home.vkey)
    home.days[new] = bytearray()
    cases.add("ok-empty-file", "A file without any head and without any byte.", home, "ok", key=home.vkey)

    # Folders without a name key.
    home, forged = small(), ("carol", "2026-11-23")
    home.write(forged, 2)
    files = home.files()
    del files[".tooltrail/names/carol"]
    found = [("unsealed", label(forged), 1)]
    text = "There is a folder without a name key, and a file in it."
    cases.add("folder-without-name-key", text, files, "unsealed", found, key=home.vkey)


def damaged_cases(cases):
    home = single()
    key = home.vkey
    seal = cache(A23)

    def add(name, why, files, found):
        """A damage of the file A23, and what is found: word and line."""
        word, line = found
        cases.add(name, why, files, word, [(word, label(A23), line)], key=key)

    def change(act, drop=()):
        return with_lines(home, A23, act, drop)

    # One byte.
    add("edit-byte", "One byte of line 7 is another one.", change(at(6)), ("modified", 7))
    text = "Without the cache only the range is known: line 6 to 12."
    add("edit-byte-no-cache", text, change(at(6), [seal]), ("modified", 6))
    files = change(at(6))
    leaves = [leaf_of(line) for line in files[path(A23)].split(b"\n")[:-1]]
    files[seal] = b"".join(leaves)
    text = "The cache was changed in the same way; so it does not count."
    add("edit-byte-cache-edited", text, files, ("modified", 6))
    files = change(at(6))
    files[seal] = files[seal][:-32]
    add("edit-byte-cache-cut", "The cache has a leaf too few; so it does not count.", files, ("modified", 6))
    files = change(at(6))
    files[seal] += fixed("more") + b"half a leaf"
    add("edit-byte-cache-longer", "The cache has more leaves than needed.", files, ("modified", 7))
    add("edit-last-line", "The last sealed line is modified.", change(at(11)), ("modified", 12))
    text = "A newline was overwritten: two lines became one."
    files = home.files()
    data = files[path(A23)]
    offset = len(b"\n".join(data.split(b"\n")[:4]))
    files[path(A23)] = data[:offset] + b" " + data[offset + 1 :]
    add("edit-newline", text, files, ("modified", 4))

    wrong = Home()
    wrong.with_caches = True
    wrong.write(A23, 5).seal(A23).write(A23, 7)
    wrong.seal(A23, end=len(wrong.days[A23]) + 1).publish()
    text = "The lines are those of the cache, but the newest head has another offset; so the cache does not help."
    add("head-other-offset", text, wrong, ("modified", 6))

    # Lines that are gone.
    text = "Lines 3 and 8 are deleted."
    add("delete-two-lines", text, change(lambda lines: lines[:2] + lines[3:7] + lines[8:]), ("missing", 3))
    # Lines that are too many.
    extra = b'{"ts":"2026-11-23T08:03:00.000Z","user":"alice","tool":"fs.write"}'
    text = "Two lines are inserted at two places."
    act = lambda lines: [*lines[:4], extra, *lines[4:8], extra + b" ", *lines[8:]]  # noqa: E731
    add("insert-two", text, change(act), ("inserted", 5))
    text = "The last sealed line is there twice; the second one is an unsealed line."
    add("duplicate-last-line", text, change(lambda lines: [*lines, lines[-1]]), ("unsealed", 13))
    # Another order.
    text = "The last two lines changed places."
    add("swap-last-two", text, change(lambda lines: [*lines[:10], lines[11], lines[10]]), ("reordered", 11))
    text = "The lines are in the opposite order."
    add("reverse-file", text, change(lambda lines: lines[::-1]), ("reordered", 1))
    # The end is gone.
    files = home.files()
    files[path(A23)] = files[path(A23)][:-1]
    add("truncate-byte", "The last newline is gone.", files, ("truncated", 12))
    text = "The file ends at its first head, and there is no cache."
    add("truncate-to-head-no-cache", text, change(lambda lines: lines[:5], [seal]), ("truncated", 6))
    add("truncate-to-nothing", "The file is empty.", change(lambda lines: []), ("truncated", 1))
    text = "The last line is gone and another one is modified; without the cache the first head tells."
    add("truncate-and-edit-no-cache", text, change(lambda lines: at(2)(lines[:-1]), [seal]), ("modified", 1))

    # With lines after the newest head. They are not looked at, because the tree is not well.
    home.write(A23, 3)
    text = "The last sealed line is replaced; three lines that are not sealed follow."
    add("edit-last-before-tail", text, change(at(11)), ("modified", 12))
    text = "The last two sealed lines changed places; three lines that are not sealed follow."
    act = lambda lines: [*lines[:10], lines[11], lines[10], *lines[12:]]  # noqa: E731
    add("swap-last-two-before-tail", text, change(act), ("reordered", 11))


def file_cases(cases):
    home = standard(caches=True)
    key = home.vkey

    def gone(*files):
        return [("missing", label(file), None) for file in files]

    files = home.files()
    del files[path(A23)]
    cases.add("file-deleted", "A day file is deleted.", files, "missing", gone(A23), key=key)
    files = {p: d for p, d in home.files().items() if "alice" not in p}
    text = "The folder, the caches and the name key of a user are deleted."
    cases.add("user-and-name-key-deleted", text, files, "missing", MISSING * 2, key=key)
    files = home.files()
    files["alice/tool_audit/2026-11-23.jsonl.gz"] = files.pop(path(A23))
    cases.add("file-renamed", "A file with another name is no day file.", files, "missing", gone(A23), key=key)
    renamed = {}
    for name, data in home.files().items():
        there = name.replace("alice", "?").replace("bob", "alice").replace("?", "bob")
        renamed[there] = data
    found = MISSING * 4 + [("unsealed", label(file), 1) for file in (A23, A24, B23, B24)]
    text = "Two users changed places with their files, caches and name keys; the keyed names hold the folder too."
    cases.add("users-swapped", text, renamed, "missing", found, key=key)

    home.with_caches = False
    files = home.files()
    del files[".tooltrail/names/alice"]
    found = MISSING * 2 + [("unsealed", label(A23), 1), ("unsealed", label(A24), 1)]
    text = "A name key is deleted without a record; the files are there but nothing links them to the log."
    cases.add("name-key-deleted", text, files, "missing", found, key=key)
    files[".tooltrail/names/alice"] = b"0123\n"
    cases.add("name-key-malformed", "A name key is cut.", files, "missing", found, key=key)

    erased = standard()
    erased.remove("erase", A23, A24)
    erased.publish()
    files = {p: d for p, d in erased.files().items() if "alice" not in p}
    text = "A user was erased with the name key, and the log says so."
    cases.add("user-erased", text, files, "erased", [("erased", None, None)] * 2, key=key)

    # New trees after a broken head.
    home = single()
    home.days[A23] = bytearray(with_lines(home, A23, at(6))[path(A23)])
    home.write(A23, 4).new_tree(A23).seal(A23)
    home.write(A23, 2).seal(A23)
    home.publish()
    home.write(A23, 1)
    found = [("modified", label(A23), 7), ("unsealed", label(A23), 19)]
    text = "A file was damaged, and a new tree began after the sealed part. The finding stays; one line is not sealed."
    cases.add("new-tree-at-end", text, home, "modified", found, key=key)
    files = with_lines(home, A23, at(15))
    found = [("modified", label(A23), 7), ("modified", label(A23), 16)]
    text = "A line of the new tree is modified as well; so the line that is not sealed is not looked at."
    cases.add("new-tree-edited", text, files, "modified", found, key=key)

    home = single()
    home.days[A23] = bytearray(with_lines(home, A23, lambda lines: lines[:3])[path(A23)])
    home.write(A23, 3).new_tree(A23).seal(A23).publish()
    text = "A file was cut below its sealed part, and a new tree began at its begin."
    found = [("modified", label(A23), 4)]
    cases.add("new-tree-at-begin", text, home, "modified", found, key=key)


def log_cases(cases):
    home = standard()
    key = home.vkey

    # A change without the key.
    files = with_lines(home, A23, at(6))
    leaves = [leaf_of(line) for line in files[path(A23)].split(b"\n")[:-1]]
    entries = list(home.entries)
    entries[2] = entries[2][:34] + mth(leaves) + entries[2][66:]
    files[cache(A23)] = b"".join(leaves)
    files[LOG + "entries"] = packed(entries)
    text = "A line is modified, and the head and the cache are computed anew, but nothing is signed."
    cases.add("recomputed", text, files, "bad-signature", BAD)
    body, signatures = home.note.split(b"\n\n")
    root = mth([leaf_of(entry) for entry in entries])
    files[LOG + "checkpoint"] = body_of(home.origin, 5, root) + b"\n" + signatures
    text = "The root of the checkpoint is computed anew too, with the old signature."
    cases.add("recomputed-root", text, files, "bad-signature", BAD)

    # The log of somebody else.
    fake = standard(seed="log of the attacker")
    fake.days[A23] = bytearray(with_lines(home, A23, at(6))[path(A23)])
    fake.entries, fake.last, fake.trees, fake.caches = [], {}, {}, {}
    for file in (A23, B23, A24, B24):
        fake.seal(file)
    fake.publish()
    text = "The log was made anew and signed with another key; the true key is given."
    cases.add("resigned-key", text, fake, "bad-signature", BAD, key=key)
    text = "The key is remembered: the checkpoint is valid under log/key, which is another one."
    cases.add("resigned-remembered", text, fake, "forked", FORKED, extra=home.remembered(), remembered="remembered")
    text = "Only a checkpoint without a key is remembered: it is not signed by log/key."
    extra = {"remembered": home.note}
    cases.add("resigned-note", text, fake, "bad-signature", BAD, extra=extra, remembered="remembered")
    text = "Nothing is given. A log that was replaced as a whole cannot be told from the true one."
    cases.add("resigned-nothing", text, fake, "ok")

    # Two histories of the true key, and a log that lost its end.
    other = standard()
    other.days[A23] = bytearray(with_lines(home, A23, at(6))[path(A23)])
    other.entries, other.last, other.trees, other.caches = [], {}, {}, {}
    for file in (A23, B23, A24, B24, A23, B23):
        other.seal(file)
    other.publish()
    old = small()
    home.witness()
    witnessed = {p: d for p, d in home.files().items() if "witnessed" in p}
    sides = {
        "remembered": (home.remembered(), {"remembered": "remembered"}),
        "keys": (home.keys(), {"keys": "keys"}),
        "witness": ({}, {"witness": [WITNESS.vkey]}),
    }
    for side, (extra, args) in sides.items():
        text = f"The log was made anew with the true key and other lines. Somebody remembers: {side}."
        cases.add(f"forked-{side}", text, other.files() | witnessed, "forked", FORKED, extra=extra, **args)
        text = f"The home and its log are an older state. Somebody remembers: {side}."
        cases.add(f"rolled-back-{side}", text, old.files() | witnessed, "rolled-back", ROLLED_BACK, extra=extra, **args)
    home.witnessed = {}
    text = "The memory is the checkpoint itself."
    cases.add("ok-same-checkpoint", text, home, "ok", extra={"seen": home.note}, checkpoint="seen")

    def remembered(name, why, note, findings=()):
        verdict, extra = findings[0][0] if findings else "ok", home.remembered(note)
        cases.add(name, why, home, verdict, findings, extra=extra, remembered="remembered")

    note = note_of(home.body(3), home.signer)
    remembered("ok-older-remembered", "The memory is an older checkpoint of three entries.", note)
    note = note_of(home.body(0), home.signer)
    remembered("ok-empty-remembered", "The memory is the checkpoint of the empty log.", note)
    note = note_of(body_of(home.origin, 0, fixed("no root")), home.signer)
    text = "The memory is a checkpoint of the empty log with a wrong root: it is malformed."
    remembered("empty-remembered-other-root", text, note, BAD)
    note = note_of(body_of(home.origin, 5, fixed("no root")), home.signer)
    extra = home.keys() | {"seen": note}
    text = "One memory agrees, another one does not."
    cases.add("forked-one-of-two", text, home, "forked", FORKED, extra=extra, keys="keys", checkpoint="seen")
    note = note_of(body_of(f"tooltrail/{fixed('x').hex()[:32]}", 5, fixed("no root")), home.signer)
    text = "The checkpoint that is given is of another log, signed by the same key."
    cases.add("forked-other-origin", text, home, "forked", FORKED, extra={"seen": note}, key=key, checkpoint="seen")
    text = "The files of a log that was rolled back are damaged as well; all that is wrong is told."
    files = with_lines(old, A23, at(2))
    found = [("rolled-back", None, None), ("modified", label(A23), 1)]
    extra, args = sides["remembered"]
    cases.add("rolled-back-and-modified", text, files, "rolled-back", found, extra=extra, **args)

    unpublished_cases(cases)
    checkpoint_cases(cases, small())
    deleted_cases(cases, small())
    entry_cases(cases)


def unpublished_cases(cases):
    """A process was killed after it stored the checkpoint beside the key, and before it published it."""
    home = small()
    before, older = home.note, home.files()
    home.write(B23, 2).seal(B23).publish()
    stored = home.note
    home.note = before
    times = {path(B23): NOW - 10_000}
    tail = ("ok-unsealed-tail", label(B23), 6)

    def add(name, why, files, findings=(), note=stored):
        verdict, extra = findings[0][0] if findings else "ok", home.keys(note)
        cases.add(f"unpublished-{name}", why, files, verdict, findings, extra=extra, mtimes=times, keys="keys")

    add("checkpoint", "The newest checkpoint is beside the key and not in the home; the entries reach it.", home)
    files = home.files()
    del files[LOG + "checkpoint"]
    add(
        "and-deleted",
        "There is no checkpoint in the home, although the one beside the key is not of size 0.",
        files,
        MISSING,
    )
    add("older-home", "The same checkpoint with an older home, whose entries do not reach it.", older, ROLLED_BACK)
    text = "There are so many entries, but the last one is another one."
    files = home.files()
    files[LOG + "entries"] = packed([*home.entries[:2], home.entries[2][:-1] + b"\0"])
    add("other-entries", text, files, [*ROLLED_BACK, tail])
    text = "The one beside the key is signed by another key."
    stranger = Signer(home.origin, fixed("stranger"))
    add("other-key", text, home, [*BAD, tail], note_of(home.body(), stranger))
    home, times = Home(), {}
    text = "It would have been the first one in the home; it is of size 0."
    add("first", text, home, (), note_of(home.body(), home.signer))


def checkpoint_cases(cases, home):
    key, signer, origin = home.vkey, home.signer, home.origin
    body = home.body()
    root = mth([leaf_of(entry) for entry in home.entries])
    true_line = signer.sign(body)
    forged = signer.line(bytes(64))

    def add(name, why, note, verdict="bad-signature"):
        files = home.files()
        files[LOG + "checkpoint"] = note
        findings = [(verdict, None, None)] if verdict != "ok" else []
        cases.add(f"checkpoint-{name}", why, files, verdict, findings, key=key)

    def signed(text):
        return note_of(text, signer)

    add("extra-line", "A line is added and signed; extension lines are not allowed.", signed(body + b"more\n"))
    add("unsigned", "There is no signature.", body + b"\n")
    same_name = Signer(origin, fixed("stranger"))
    add("same-name", "A key of the same name and another id signed too.", note_of(body, signer, same_name), "ok")
    text = "A second signature has the name and the id of the key, but does not verify."
    add("same-name-and-id", text, body + b"\n" + true_line + forged)
    unknown = STRANGER.line(b"x" * 8)
    add("64-signatures", "64 signature lines are allowed.", body + b"\n" + unknown * 63 + true_line, "ok")
    add("65-signatures", "65 signature lines are not allowed.", body + b"\n" + true_line + unknown * 64)
    # A line of a stranger that fills the note up to the limit; its name is as long as needed.
    blob = b64(bytes(72_000))
    space = 131_072 - len(home.note) - len("\u2014  \n".encode()) - len(blob)
    filler = "\u2014 {} {}\n"
    longest = home.note + filler.format("n" * space, blob).encode()
    assert len(longest) == 131_072
    add("longest", "A note of 131,072 bytes is accepted.", longest, "ok")
    longest = home.note + filler.format("n" * (space + 1), blob).encode()
    add("too-long", "A note of 131,073 bytes is not accepted.", longest)
    add("no-newline", "The last newline is missing.", home.note[:-1])
    add("returns", "The lines end with a return and a newline.", signed(body.replace(b"\n", b"\r\n")))
    add("not-utf-8", "The note is not UTF-8.", home.note.replace(b"\xe2\x80\x94", b"\x97"))
    text = "A signature line is not written as an encoder writes it."
    loose = f"\u2014 name {b64(b'12345678')[:-2]}R=\n".encode()
    add("loose-base64", text, home.note + loose)
    add("leading-zero", "The size has a leading zero.", signed(body.replace(b"\n2\n", b"\n02\n")))
    add("huge-size", "The size does not fit in 64 bits.", signed(body_of(origin, 1 << 64, root)))
    add("short-root", "The root has 31 bytes.", signed(body_of(origin, 2, root[:31])))
    add("large-size", "The size is larger than the log.", signed(body_of(origin, NONE, root)), "missing")
    other = f"tooltrail/{fixed('other').hex()[:32]}"
    text = "The key signed an origin that is not its name."
    add("other-origin", text, signed(body_of(other, 2, root)), "forked")

    empty = Home()
    empty.note = note_of(body_of(empty.origin, 0, bytes(32)), empty.signer)
    text = "An empty log with a root that is not the hash of nothing."
    cases.add("checkpoint-empty-log-wrong-root", text, empty, "bad-signature", BAD, key=key)
    files, spot = home.files(), len(home.note) - 20
    files[LOG + "checkpoint"] = home.note[:spot] + b"AAAA" + home.note[spot + 4 :]
    text = "A byte of the signature is edited, and the key is remembered: the note is not valid under log/key."
    args = {"extra": home.remembered(), "remembered": "remembered"}
    cases.add("checkpoint-signature-remembered", text, files, "bad-signature", BAD, **args)

    files = home.files()
    files[LOG + "key"] = Signer(origin, fixed("stranger")).vkey.encode() + b"\n"
    text = "log/key is replaced; the key is given."
    cases.add("log-key-replaced", text, files, "forked", FORKED, key=key)
    del files[LOG + "key"]
    cases.add("log-key-deleted", "log/key is deleted; the key is given.", files, "forked", FORKED, key=key)
    cases.add("log-key-deleted-nothing", "log/key is deleted and nothing is given.", files, None)
    files = home.files()
    files[".tooltrail/id"] = fixed("another id").hex()[:32].encode() + b"\n"
    cases.add("home-id-changed", "The id of the home is another one.", files, "forked", FORKED, key=key)
    text = "The given key has another name than the log."
    stranger = Signer("example.com/our-log", signer.seed)
    cases.add("key-of-another-name", text, home, "bad-signature", BAD, key=stranger.vkey)
    wrong = key.replace(f"+{signer.id.hex()}+", "+00000000+")
    cases.add("key-with-wrong-id", "The id of the given key does not belong to it.", home, None, key=wrong)
    cases.add("key-of-a-witness", "A key of a witness is no key of a log.", home, None, key=WITNESS.vkey)


def deleted_cases(cases, home):
    key = home.vkey
    files = {p: d for p, d in home.files().items() if not p.startswith(LOG)}

    def add(side, why, findings, extra=None, **args):
        verdict = findings[0][0] if findings else None
        cases.add(f"log-deleted-{side}", why, files, verdict, findings, extra=extra, **args)

    add("nothing", "The log is deleted, and there is nothing to compare with.", ())
    add("key", "A key is given.", MISSING, key=key)
    add("remembered", "A checkpoint is remembered.", MISSING, home.remembered(), remembered="remembered")
    extra = home.keys()
    del extra["keys/checkpoint"]
    text = "There is a folder of keys without a checkpoint: nothing was ever signed."
    add("keys-without-checkpoint", text, (), extra, keys="keys")
    add("witness", "A witness is given.", MISSING, witness=[WITNESS.vkey])
    add("checkpoint", "A checkpoint is given.", MISSING, {"seen": home.note}, checkpoint="seen")
    files = home.files()
    files[LOG + "entries"] = files[LOG + "entries"][:-1]
    cases.add("entries-cut-byte", "The last byte of the entries is cut.", files, "missing", MISSING, key=key)
    cases.add("no-home", "There is no home at all.", {"nothing": b""}, None)


def entry_cases(cases):
    """Logs that the key signed, with an entry that is not allowed."""

    def add(name, why, act, verdict="bad-signature"):
        home = Home()
        home.write(A23, 6).seal(A23)
        act(home)
        home.publish()
        cases.add(f"entry-{name}", why, home, verdict, BAD if verdict == "bad-signature" else [], key=home.vkey)

    def raw(entry):
        return lambda home: home.append(entry)

    def json_of(**members):
        return raw(json.dumps(members, separators=(",", ":")).encode())

    said = {"at": NOW, "by": "owner", "why": "a test"}
    name = b64(fixed("a name"))
    more = b'{"type":"prune","files":[],"at":1,"by":"owner","why":"a test","more":%s}'
    add("of-no-kind", "An entry begins with an unknown byte.", raw(b"\x02" + bytes(97)))
    add("head-short", "A head has 97 bytes.", lambda h: h.append(h.entries[0][:97]))
    add("head-flags", "A head has an unknown flag.", lambda h: h.append(b"\x01\x04" + h.entries[0][2:]))
    add("not-json", "A record is not JSON.", raw(b'{"type":"prune"'))
    pretty = json.dumps({"type": "prune", "files": [], **said}, indent=1).encode()
    add("newline", "A record has a newline.", raw(pretty))
    add("unknown-type", "A record has an unknown type.", json_of(type="note", **said))
    add("without-why", "A record has no reason.", json_of(type="prune", files=[name], at=NOW, by="owner"))
    add("without-files", "A record has no files.", json_of(type="prune", **said))
    add("short-name", "A record names a file by 31 bytes.", json_of(type="prune", files=[b64(bytes(31))], **said))
    line = {"name": name, "line": 0, "old": name, "new": name}
    text = "A record names lines and files."
    add("lines-and-files", text, json_of(type="erase", lines=[line], files=[name], **said))
    bad = f"a+00000000+{b64(b'1' + bytes(32))}"
    add("bad-key", "A record has a key with a wrong id.", json_of(type="key", key=bad, **said))
    text = "A member that nobody knows is ignored. It is nested, but not too deeply."
    add("unknown-member", text, raw(more % (b'[{"a":[' * 15 + b"1" + b"]}]" * 15)), "ok")
    add("nested", "A record is nested too deeply.", raw(more % (b"[" * 70 + b"]" * 70)))
    add("member-twice", "A record has a member twice.", raw(more % b'1,"at":1'))
    text = "A member that nobody knows has a member twice."
    add("inner-member-twice", text, raw(more % b'{"a":1,"\\u0061":1}'))
    add("wrong-prev", "A head names a wrong head before it.", lambda h: h.write(A23, 1).seal(A23).seal(A23, prev=0))

    def after_prune(home):
        last = home.last[home.name(A23)]
        home.remove("prune", A23, really=False)
        home.seal(A23, prev=last)

    add("prev-over-prune", "A head names a head before the record that ended the chain.", after_prune)
    add("fewer-lines", "A head has fewer lines than the one before.", lambda h: h.seal(A23, entries=3))
    add("fewer-bytes", "A head has fewer bytes than the one before.", lambda h: h.seal(A23, end=3))


def erased_cases(cases):
    home = single()
    home.erase_lines(A23, [3]).publish()
    key = home.vkey
    found = [("erased", label(A23), 4)]
    cases.add("erased-line", "A line was erased, and the log says so.", home, "erased", found, key=key)
    found = [("modified", label(A23), 4)]
    files = with_lines(home, A23, at(3, lambda line: line.replace(b"erased", b"errata")))
    text = "Another line stands there than the record says."
    cases.add("erased-line-other-text", text, files, "modified", found, key=key)

    plain = small()
    plain.with_caches = True
    plain.erase_lines(B23, [3], overwrite=False).publish()
    files = with_lines(plain, A23, at(3, erased_line))
    found = [("modified", label(A23), 4), ("modified", label(B23), 4)]
    text = "A line looks erased, but the record is about a line of another file."
    cases.add("erased-line-of-another-file", text, files, "modified", found, key=key)

    home = single()
    home.erase_lines(A23, [3, 9])
    home.erase_lines(A23, [3], lambda line: b" " * len(line))
    home.write(A23, 2).seal(A23).publish()
    found = [("erased", label(A23), 4), ("erased", label(A23), 10)]
    text = "A line was erased twice, and the file has grown since. The last time only spaces were left; no incident."
    cases.add("erased-line-twice", text, home, "erased", found, key=key)

    # Erasures and new trees.
    home = single()
    home.days[A23] = bytearray(with_lines(home, A23, at(6))[path(A23)])
    home.write(A23, 4).new_tree(A23).seal(A23)
    home.erase_lines(A23, [13]).publish()
    found = [("modified", label(A23), 7), ("erased", label(A23), 14)]
    text = "A line of a new tree was erased; its number counts from the start of the file."
    cases.add("new-tree-then-erased-line", text, home, "modified", found, key=key)
    home = single()
    home.erase_lines(A23, [2])
    home.days[A23] = bytearray(with_lines(home, A23, lambda lines: lines[:6])[path(A23)])
    home.new_tree(A23).write(A23, 1).seal(A23).publish()
    found = [("erased", label(A23), 3), ("modified", label(A23), 7)]
    text = "A tree that began after the erasure has the leaf of the erased line; the record does not count for it."
    cases.add("erased-line-then-new-tree", text, home, "modified", found, key=key)
    home.erase_lines(A23, [2], lambda line: b" " * len(line)).publish()
    found = [("erased", label(A23), 3), ("modified", label(A23), 7)]
    text = "The line was erased once more: both records count for the old tree, the second one for the new tree."
    cases.add("erased-line-twice-new-tree", text, home, "modified", found, key=key)

    # Files.
    home = single()
    home.remove("erase", A23).publish()
    gone = [("erased", label(A23), None)]
    cases.add("erased-file", "A file was erased, and the log says so.", home, "erased", gone, key=key)
    whole = single()
    whole.remove("erase", A23, really=False).publish()
    found = [("modified", label(A23), None)]
    text = "The log says that a file was erased, but it is there."
    cases.add("erased-file-there", text, whole, "modified", found, key=key)
    files = with_lines(whole, A23, at(6))
    found = [("unsealed", label(A23), 1)]
    text = "A file that was erased is there with other lines: a new file without heads."
    cases.add("erased-file-other", text, files, "unsealed", found, key=key)
    home.lines_made[A23] = 20
    home.write(A23, 3).seal(A23).publish()
    cases.add("erased-file-new-heads", "A file was erased, and a new one was sealed.", home, "ok", key=key)
    files = home.files()
    del files[path(A23)]
    found = [("missing", label(A23), None), ("erased", label(A23), None)]
    cases.add("erased-file-new-heads-deleted", "The new one was deleted.", files, "missing", found, key=key)

    # The retention.
    home = small()
    home.remove("prune", A23, B23).publish()
    found = [("pruned", label(A23), None), ("pruned", label(B23), None)]
    cases.add("pruned-files", "Files were pruned, and the log says so.", home, "pruned", found, key=key)
    whole = single()
    whole.remove("prune", A23, really=False).publish()
    cases.add("pruned-file-there", "A file that was pruned is still there.", whole, "ok", key=key)
    whole.write(A23, 2)
    text = "A file that was pruned is still there, because it has grown."
    times = {path(A23): NOW - 2_000}
    found = [("ok-unsealed-tail", label(A23), 13)]
    cases.add("pruned-file-grown", text, whole, "ok-unsealed-tail", found, mtimes=times, key=key)
    files = with_lines(whole, A23, at(6))
    found = [("unsealed", label(A23), 1)]
    cases.add("pruned-file-other", "A file that was pruned has other lines.", files, "unsealed", found, key=key)

    # Lines of spaces.
    home = Home()
    home.write(A23, 3, b" " * 40, 3).seal(A23)
    home.write(A23, b" ", 1).seal(A23).publish()
    home.write(A23, b"  ")
    times = {path(A23): NOW - 2_000}
    found = [("incident", label(A23), 4), ("incident", label(A23), 8), ("ok-unsealed-tail", label(A23), 10)]
    text = "Two lines of spaces were sealed. One that is not sealed yet is no incident."
    cases.add("incident", text, home, "incident", found, mtimes=times, key=home.vkey)
    files = with_lines(single(), A23, at(6, lambda line: b" " * len(line)))
    found = [("modified", label(A23), 7), ("incident", label(A23), 7)]
    cases.add("spaces-over-line", "A sealed line was overwritten with spaces.", files, "modified", found, key=key)


def key_cases(cases):
    """Changes of the key, restored homes and witnesses."""
    home = small()
    first, old_note = home.signer, home.note
    old = {"remembered": first.vkey.encode() + b"\n" + old_note}
    seen = {"seen": old_note}
    home.rotate("log 2")
    cases.add("rotation-just-now", "The key has just been changed; the old one is given.", home, "ok", key=first.vkey)
    files = home.files()
    files[LOG + "key"] = first.vkey.encode() + b"\n"
    text = "log/key is still the old key, which signed too; the new one is given."
    cases.add("rotation-just-now-log-key", text, files, "ok", key=home.vkey)
    home.write(A23, 2).seal(A23).publish()
    second = home.signer
    text = "The old key and a checkpoint of its time are remembered."
    cases.add("rotation-remembered", text, home, "ok", extra=old, remembered="remembered")
    text = "The new key is given, the old key and a checkpoint of its time are remembered."
    cases.add("rotation-new-key-remembered", text, home, "ok", extra=old, key=second.vkey, remembered="remembered")
    text = "The old key is remembered with a checkpoint that only the new key signed."
    extra = {"remembered": first.vkey.encode() + b"\n" + home.note}
    cases.add("rotation-remembered-mixed", text, home, "bad-signature", BAD, extra=extra, remembered="remembered")
    text = "A checkpoint of the old key is given and the new key, which does not lead back to the old one."
    cases.add(
        "rotation-old-checkpoint", text, home, "bad-signature", BAD, extra=seen, key=second.vkey, checkpoint="seen"
    )
    text = "A checkpoint of the old key is given and the folder of keys, where the old key is too."
    extra = home.keys() | seen
    cases.add("rotation-old-checkpoint-keys", text, home, "ok", extra=extra, keys="keys", checkpoint="seen")

    body = home.body(3)
    both = note_of(body, first, second)
    other_root = note_of(body_of(home.origin, 3, fixed("root")), first, second)
    other_size = note_of(body.replace(b"\n3\n", b"\n2\n"), first, second)
    changes = {
        "not-by-old": ("The old key did not sign the change.", {3: note_of(body, second)}),
        "not-by-new": ("The new key did not sign the change.", {3: note_of(body, first)}),
        "other-root": ("Both keys signed another root.", {3: other_root}),
        "wrong-file": ("The note is in the file of another size, or says another size.", {2: both, 3: other_size}),
        "no-record": ("The last entry of the note is no change.", {2: note_of(home.body(2), first, second)}),
    }
    for name, (text, notes) in changes.items():
        home.rotations = notes
        text += " The old key is given."
        cases.add(f"rotation-{name}", text, home, "bad-signature", BAD, key=first.vkey)
    home.rotations = {}
    text = "The note is gone; the old key is remembered."
    cases.add("rotation-note-deleted", text, home, "forked", FORKED, extra=old, remembered="remembered")
    home.rotations = {1: b"", 3: both, 9: note_of(body_of(home.origin, 9, fixed("root")), first, STRANGER)}
    text = "Beside the note there are one that is empty and one that is larger than the log; they are passed over."
    cases.add("rotation-others", text, home, "ok", key=first.vkey)
    home.rotations = {3: both}
    files = home.files()
    files[LOG + "checkpoint"] = note_of(home.body(), first)
    files[LOG + "key"] = first.vkey.encode() + b"\n"
    text = "The old key signed a checkpoint after the change."
    cases.add("rotation-old-key-goes-on", text, files, "bad-signature", BAD, key=first.vkey)
    del files[LOG + "keys/3"]
    text = "The same, and the note of the change is deleted; the entries tell of the change too."
    cases.add("rotation-old-key-goes-on-no-note", text, files, "bad-signature", BAD, key=first.vkey)

    home.rotate("log 3")
    home.write(B23, 2).seal(B23).publish()
    cases.add("rotation-twice", "The key was changed twice; the first one is given.", home, "ok", key=first.vkey)

    home = small()
    home.rotate("log 2", lost=True)
    home.write(A23, 2).seal(A23).publish()
    cases.add("key-lost", "The key was lost; the old one is given.", home, "bad-signature", BAD, key=first.vkey)
    text = "The new one is given, the old key and a checkpoint of its time are remembered."
    cases.add("key-lost-new-key", text, home, "ok", extra=old, key=second.vkey, remembered="remembered")
    home.rotations = {3: note_of(home.body(3), first, second)}
    text = "The record says that the key was lost; then the signature of the old key does not count."
    cases.add("key-lost-both-signed", text, home, "bad-signature", BAD, key=first.vkey)
    fork = small()
    fork.entries.reverse()
    fork.last = {fork.name(A23): 1, fork.name(B23): 0}
    fork.rotate("log 2", lost=True)
    fork.publish()
    text = "After a lost key the log is not the one that is remembered."
    cases.add("key-lost-forked", text, fork, "forked", FORKED, extra=old, key=second.vkey, remembered="remembered")

    # A restored home.
    before = small()
    home = Home(origin=f"tooltrail/{before.id}/2")
    home.record("restore", checkpoint=before.note.decode())
    home.write(A23, 5).seal(A23)
    home.write(B23, 7).seal(B23).publish()
    cases.add("restored", "The log began anew after a restore; its key is given.", home, "ok", key=home.vkey)
    extra = before.remembered()
    text = "Only the old log is remembered, with its key, which has another name."
    cases.add("restored-remembered", text, home, "forked", FORKED, extra=extra, remembered="remembered")
    other = Home("another home", origin=f"tooltrail/{before.id}/2")
    other.write(A23, 2).seal(A23).publish()
    text = "The origin has a number, but the id of another home."
    cases.add("restored-other-home", text, other, "forked", FORKED, key=other.vkey)

    # Witnesses.
    home = small()
    place = LOG + "witnessed/" + sha256(WITNESS.name.encode()).hex()
    body, key = home.body(), home.vkey

    def witnessed(name, why, note, findings, *more):
        files = home.files() | {place: note}
        verdict = findings[0][0] if findings else "ok"
        given = [witness.vkey for witness in (WITNESS, *more)]
        cases.add(f"witness-{name}", why, files, verdict, findings, key=key, witness=given)

    good = note_of(body, home.signer, OTHER_WITNESS, WITNESS)
    witnessed("good", "The witness cosigned the checkpoint; another one did too.", good, [])
    witnessed("older", "The witness cosigned an older one.", note_of(home.body(1), home.signer, WITNESS), [])
    witnessed("one-of-two", "There are two witnesses; one of them has no note.", good, MISSING, OTHER_WITNESS)
    signed = body + b"\n" + home.signer.sign(body)
    blob = base64.b64decode(WITNESS.sign(body).split(b" ")[2])
    late = WITNESS.line((1_795_521_001).to_bytes(8, "big") + blob[12:])
    witnessed("bad-time", "The time of the cosignature was changed.", signed + late, BAD)
    witnessed("unsigned", "The witness did not sign.", signed, BAD)
    witnessed("without-log", "The log did not sign.", note_of(body, WITNESS), BAD)
    cases.add("witness-wrong-type", "A key of a log is no key of a witness.", home, None, key=key, witness=[key])


def proof_cases(cases):
    home = standard()
    key, leaves = home.vkey, [leaf_of(entry) for entry in home.entries]

    def parts(file, number, index):
        head = home.entries[index]
        entries = int.from_bytes(head[66:74], "big")
        lines = home.lines(file)
        tree = [leaf_of(line) for line in lines[:entries]]
        return {
            "index": index,
            "log": path_of(index, leaves),
            "note": home.note,
            "extra": {
                "line": lines[number].decode(),
                "head": b64(head),
                "leaf": number,
                "path": [b64(digest) for digest in path_of(number, tree)],
                "folder": file[0],
                "date": file[1],
                "day_key": b64(home.day_key(file)),
            },
        }

    def text_of(proof):
        extra = json.dumps(proof["extra"], separators=(",", ":"), ensure_ascii=False).encode()
        lines = ["c2sp.org/tlog-proof@v1", f"extra {b64(extra)}", f"index {proof['index']}"]
        return "\n".join([*lines, *(b64(digest) for digest in proof["log"]), "", ""]).encode() + proof["note"]

    def add(name, why, proof, verdict="modified", **more):
        data = proof if isinstance(proof, bytes) else text_of(proof)
        findings = [] if verdict in ("ok", None) else [(verdict, None, None)]
        args = {"proof": "entry.tlog-proof", "key": key} | more
        cases.add(f"proof-{name}", why, None, verdict, findings, extra={"entry.tlog-proof": data}, **args)

    def base():
        return parts(A23, 6, 2)

    def changed(**members):
        proof = base()
        proof["extra"] |= members
        return proof

    add("good", "A good proof.", base(), "ok")
    one = Home()
    one.write(B23, 1).seal(B23).publish()
    leaf = {
        "line": one.lines(B23)[0].decode(),
        "head": b64(one.entries[0]),
        "leaf": 0,
        "path": [],
        "folder": "bob",
        "date": "2026-11-23",
        "day_key": b64(one.day_key(B23)),
    }
    proof = {"index": 0, "log": [], "note": one.note, "extra": leaf}
    add("good-single", "One line, one entry: both paths are empty.", proof, "ok", key=one.vkey)
    odd = Home()
    odd.write(A23, 'Zoë\t"said" \U0001f600\\'.encode(), 1, b"").seal(A23, adopted=True)
    odd.days[A23][0:1] = b"z"
    odd.new_tree(A23).write(A23, "naïve €".encode()).seal(A23).publish()
    leaf = {
        "line": "naïve €",
        "head": b64(odd.entries[1]),
        "leaf": 0,
        "path": [],
        "folder": "alice",
        "date": "2026-11-23",
        "day_key": b64(odd.day_key(A23)),
        "more": "members are ignored",
    }
    entries = [leaf_of(entry) for entry in odd.entries]
    proof = {"index": 1, "log": path_of(1, entries), "note": odd.note, "extra": leaf}
    add("good-new-tree", "A line of a new tree, with other letters than ASCII.", proof, "ok", key=odd.vkey)

    add("wrong-leaf", "The position of the line is another one.", changed(leaf=7))
    add("leaf-too-large", "The position is not below the lines of the head.", changed(leaf=12))
    hashes = base()["extra"]["path"]
    add("path-long", "The path of the line has a hash too many.", changed(path=[*hashes, b64(fixed("hash"))]))
    proof = base()
    proof["index"] = 5
    add("index-size", "The index of the head is the size of the log.", proof)

    # An inner node in the place of a leaf.
    proof = base()
    left, right = leaves[2], leaves[3]
    proof["extra"]["head"] = b64(b"\x01" + left + right)
    proof["index"], proof["log"] = 1, proof["log"][1:]
    add("node-as-head", "The head is an inner node of the log.", proof)
    add("node-as-leaf", "The line is proven as if it were an inner node.", changed(leaf=3, path=hashes[1:]))

    add("other-line", "The text of the line is another one.", changed(line=base()["extra"]["line"].replace("ok", "no")))
    add("other-folder", "The folder is another one.", changed(folder="bob"))
    head = home.entries[2]
    add("head-edited", "A byte of the head is edited.", changed(head=b64(head[:66] + b"\x01" + head[67:])))
    proof = base()
    body = body_of(f"tooltrail/{fixed('other').hex()[:32]}", 5, mth(leaves))
    proof["note"] = note_of(body, home.signer)
    add("other-origin", "The key signed an origin that is not its name.", proof, "bad-signature")
    proof["note"] = note_of(home.body(), STRANGER)
    add("other-key", "Another key signed.", proof, "bad-signature")
    spot = len(home.note) - 20
    proof["note"] = home.note[:spot] + b"AAAA" + home.note[spot + 4 :]
    add("bad-signature", "A byte of the signature is edited.", proof, "bad-signature")
    proof["note"] = note_of(home.body() + b"more\n", home.signer)
    add("checkpoint-extra-line", "Refused: a line was added to the checkpoint and signed.", proof, None)
    record = small()
    record.remove("prune", B23).publish()
    proof = base()
    entries = [leaf_of(entry) for entry in record.entries]
    proof |= {"index": 2, "log": path_of(2, entries), "note": record.note}
    proof["extra"]["head"] = b64(record.entries[2])
    add("record-as-head", "The entry is a record and no head.", proof)

    data = text_of(base())
    add("no-checkpoint", "Refused: there is no checkpoint.", data[: data.index(b"\n\n")], None)
    lines = data.split(b"\n")
    add("no-extra", "Refused: no extra data.", b"\n".join([lines[0], *lines[2:]]), None)
    proof = changed()
    del proof["extra"]["day_key"]
    add("member-missing", "Refused: a member is missing.", proof, None)
    proof = base()
    proof["index"] = "02"
    add("index-zero", "Refused: the index has a leading zero.", proof, None)


def main():
    here = pathlib.Path(__file__).resolve().parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "v1"
    if folder.exists():
        shutil.rmtree(folder)
    cases = Cases(folder)
    good_cases(cases)
    damaged_cases(cases)
    file_cases(cases)
    log_cases(cases)
    erased_cases(cases)
    key_cases(cases)
    proof_cases(cases)
    if cases.bytes > MOST_BYTES:
        raise SystemExit(f"the vectors have {cases.bytes} bytes, more than {MOST_BYTES}")
    print(f"{sum(cases.verdicts.values())} cases, {cases.bytes} bytes")
    for verdict, count in sorted(cases.verdicts.items(), key=lambda item: str(item[0])):
        print(f"{count:4} {verdict or 'exit 2'}")


if __name__ == "__main__":
    main()
