"""Injects faults into single system calls with strace: an error, a kill, a stop or a delay at the n-th call."""

import collections
import re
import shutil
import signal
import subprocess
import time

from place import Broken, Skip

# The file of a descriptor, as strace prints it.
STANDS_FOR = re.compile(r"\d+<(/[^>]*)>")
CALL = re.compile(r"(\d+) +(\w+)\((.*)")


def needs_strace():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")


def on(path):
    """Returns the arguments that restrict strace to one path or several paths; none for no restriction."""
    return [word for one in ([path] if isinstance(path, str) else path or []) for word in ("-P", one)]


def wrap(syscall, what, path=None):
    """Returns the command prefix that injects a fault into a process. The process, not strace, is our child (`-D`).

    Calls are counted separately for each thread, and only calls on this path count.
    """
    needs_strace()
    return [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        *on(path),
        "-e",
        f"trace={syscall}",
        "-e",
        f"inject={syscall}:{what}",
    ]


class Attached:
    """Injects a fault into a running process until the context ends."""

    def __init__(self, service, syscall, what, path=None):
        needs_strace()
        self.strace = subprocess.Popen(
            [
                "strace",
                "-f",
                "-o",
                "/dev/null",
                *on(path),
                "-e",
                f"trace={syscall}",
                "-e",
                f"inject={syscall}:{what}",
                "-p",
                str(service.pid),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        while "attached" not in (line := self.strace.stderr.readline()):
            if not line:
                raise Broken("strace did not attach")
        time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=30)


def survey(place, work):
    """Runs `work` under strace; returns the most calls of one thread for each system call and path of the home."""
    needs_strace()
    output = place.folder / "survey"
    work(["strace", "-D", "-f", "-qq", "-y", "-o", str(output)])
    home = str(place.home)
    counts = collections.Counter()
    for line in output.read_text(errors="replace").splitlines():
        found = CALL.match(line)
        if not found:
            continue
        thread, syscall, rest = found.groups()
        paths = [path for path in STANDS_FOR.findall(rest) if path == home or path.startswith(f"{home}/")]
        if paths:
            counts[thread, syscall, paths[0]] += 1
    most = collections.Counter()
    for (_, syscall, path), count in counts.items():
        most[syscall, path] = max(most[syscall, path], count)
    return most
