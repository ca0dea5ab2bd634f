"""Runs the verifier on all test vectors, and on vectors that are damaged at random.

test_vectors.py VECTORS [ROUNDS]
"""

import concurrent.futures
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import traceback

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "tooltrail_verify.py"
HOUR = 3_600_000
FILES = ("keys", "checkpoint", "remembered", "proof")
REPEATED = ("witness", "user")
SEED = 20_261_124


def load_verifier():
    spec = importlib.util.spec_from_file_location("tooltrail_verify", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def arguments(case, folder):
    """The command line of a case that was copied to a folder."""
    result = [] if "proof" in case["args"] else [str(folder / "home")]
    for name, value in case["args"].items():
        option = "--" + name.replace("_", "-")
        if name in FILES or (name == "key" and (folder / value).is_file()):
            value = folder / value
        for item in value if name in REPEATED else [value]:
            result += [option, str(item)]
    return result


def copy(case, source, folder):
    """Copies a case and sets the modification times of its day files."""
    shutil.copytree(source, folder, symlinks=True)
    set_times(case, folder)


def set_times(case, folder):
    now = case["args"].get("now", 0)
    for file in (folder / "home").glob("*/tool_audit/*"):
        if file.is_file() and not file.is_symlink():
            at = case["mtimes"].get(str(file.relative_to(folder / "home")), now - HOUR)
            os.utime(file, ns=(at * 1_000_000, at * 1_000_000))


def run_case(source):
    """Runs the program on one case with --json, and gives what is wrong, or None."""
    case = json.loads((source / "case.json").read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "case"
        copy(case, source, folder)
        command = [sys.executable, str(PROGRAM), *arguments(case, folder), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    result = json.loads(done.stdout)
    found = sorted(([f["verdict"], f["file"], f["line"]] for f in result.get("findings", [])), key=str)
    got = {"verdict": result["verdict"], "exit": done.returncode, "findings": found}
    wanted = {name: case[name] for name in ("verdict", "exit")} | {"findings": sorted(case["findings"], key=str)}
    if got != wanted:
        return f"{source.name}: {case['why']}\n  wanted {wanted}\n  got    {got}\n{done.stderr}"
    return None


def run_plain(verifier, source):
    """Runs the program on one case without --json: one word on stdout, one line for each finding on stderr."""
    case = json.loads((source / "case.json").read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "case"
        copy(case, source, folder)
        code, out, err = run_main(verifier, arguments(case, folder))
    if code != case["exit"] or out != ("" if case["verdict"] is None else case["verdict"] + "\n"):
        return f"{source.name}: without --json: exit {code}, stdout {out!r}"
    if err.count("\n") != (1 if case["verdict"] is None else len(case["findings"])):
        return f"{source.name}: without --json: stderr {err!r}"
    return None


def run_vectors(vectors):
    sources = sorted(file.parent for file in vectors.glob("*/case.json"))
    with concurrent.futures.ThreadPoolExecutor(3 * (os.cpu_count() or 2)) as pool:
        wrong = [text for text in pool.map(run_case, sources) if text]
    verifier = load_verifier()
    verifier.LOOK_AGAIN_AFTER = 0
    wrong += [text for text in (run_plain(verifier, source) for source in sources) if text]
    print("\n".join([*wrong, f"{len(sources)} cases, {len(wrong)} wrong"]))
    return not wrong and bool(sources)


# Hostile input.


def damage_bytes(chance, data):
    """Changes the bytes of a file in one way of many."""
    size = len(data)
    at = chance.randrange(size + 1)
    to = min(size, at + chance.choice([1, 1, 2, 8, 32, 100, 1000]))
    some = bytes(chance.randrange(256) for _ in range(chance.choice([1, 2, 8, 32, 100])))
    if size and chance.random() < 0.3:
        at = min(at, size - 1)
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    ways = (
        lambda: data[:at],
        lambda: data[at:],
        lambda: data[:at] + data[to:],
        lambda: data[:at] + some + data[at:],
        lambda: data[:at] + some + data[to:],
        lambda: data[:at] + data[at:to] * 2 + data[to:],
        lambda: data[:at] + b"\n" + data[at:],
        lambda: data[:at] + b"9" * chance.choice([20, 400, 6000]) + data[at:],
        lambda: data[:at] + b"\xff" * 8 + data[at + 8 :],
        lambda: data[:at] + b"[" * chance.choice([10, 100_000]) + data[at:],
        lambda: data[:at] + '\u2014 \u2028\u0000"\\ud800'.encode() + data[at:],
        lambda: b"".join(chance.sample(lines := data.splitlines(True), len(lines))),
        lambda: data + data,
        lambda: b"",
    )
    return chance.choice(ways)()


def damage_file(chance, file):
    """Puts something else in the place of a file."""
    data = file.read_bytes()
    file.unlink()
    way = chance.choice(["gone", "link", "link to nothing", "loop", "folder", "pipe", "socket name"])
    if way == "link":
        elsewhere = file.with_name("elsewhere of " + file.name)
        elsewhere.write_bytes(data)
        file.symlink_to(elsewhere)
    elif way == "link to nothing":
        file.symlink_to("nothing")
    elif way == "loop":
        file.symlink_to(file.name)
    elif way == "folder":
        (file / "inside").mkdir(parents=True)
    elif way == "pipe":
        os.mkfifo(file)
    elif way == "socket name":
        (file.parent / "\udcff\n\x1b[31m.jsonl").write_bytes(data)


def run_main(verifier, command):
    """Calls the program in this process: exit status, verdict, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = verifier.main(command)
    return code, out.getvalue(), err.getvalue()


def run_hostile(vectors, rounds):
    verifier = load_verifier()
    verifier.LOOK_AGAIN_AFTER = 0
    chance = random.Random(SEED)
    sources = sorted(file.parent for file in vectors.glob("*/case.json"))
    counts = {}
    for number in range(rounds):
        source = chance.choice(sources)
        case = json.loads((source / "case.json").read_bytes())
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary) / "case"
            copy(case, source, folder)
            command = arguments(case, folder)
            files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "case.json")
            days = [file for file in files if file.parent.name == "tool_audit"]
            file = chance.choice(days if days and chance.random() < 0.4 else files)
            inside = file.relative_to(folder)
            before = file.read_bytes()
            as_bytes = chance.random() < 0.85
            if as_bytes:
                file.write_bytes(damage_bytes(chance, before))
            elif inside.parts[0] == "home":
                damage_file(chance, file)
            else:
                file.unlink()
            set_times(case, folder)
            what = f"round {number}, {source.name}, {inside}"
            try:
                code, out, err = run_main(verifier, command)
            except Exception:
                print(f"{what}: a traceback\n{traceback.format_exc()}")
                return False
            verdict = out.strip()
            counts[verdict or "exit 2"] = counts.get(verdict or "exit 2", 0) + 1
            good = code == (0 if verifier.RANK[verdict] >= verifier.FIRST_GOOD else 1) if out else code == 2
            if not good or (code == 2 and err.count("\n") != 1):
                print(f"{what}: exit {code}, stdout {out!r}, stderr {err!r}")
                return False
            same = file.is_file() and not file.is_symlink() and file.read_bytes() == before
            checked = "user" not in case["args"] and "from" not in case["args"] and "to" not in case["args"]
            if not same and checked and case["verdict"] == "ok" and verdict == "ok":
                # This may be damaged without notice: a pruned file that becomes empty is no file any more, an empty
                # file without heads may go, and bytes after the entries that were signed do not count.
                there = file.is_file() and not file.is_symlink()
                pruned = source.name.startswith("pruned") and there and file.stat().st_size == 0
                if file in days and not pruned and (before or there):
                    print(f"{what}: a day file was changed, and the verdict is ok")
                    return False
                kept = not before or (there and file.read_bytes().startswith(before))
                if file.name == "entries" and not kept and "beyond" not in source.name:
                    print(f"{what}: the log was changed, and the verdict is ok")
                    return False
    print(f"{rounds} damaged cases: " + ", ".join(f"{counts[word]} {word}" for word in sorted(counts)))
    return True


def main():
    vectors = pathlib.Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    good = run_vectors(vectors)
    good = run_hostile(vectors, rounds) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
