"""A tap: starts a command and passes its standard input and output on, byte for byte, with a copy of both in files.

    tap.py FOLDER PLACE COMMAND [ARG…]

It writes FOLDER/RUN.PLACE.in and .out. When the command has ended, it writes .end: the exit code (or minus the signal),
and the signals that the tap itself got. RUN is the same for the two taps around one proxy, and the names of later runs
sort after those of earlier ones. The outer one of the two also writes .err, the standard error of all behind it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import BinaryIO


def pump(source: int, target: int, copy: BinaryIO) -> None:
    """Passes bytes on as they arrive. The copy comes first, so that it has everything that the source wrote."""
    forwards = True
    while chunk := os.read(source, 65536):
        copy.write(chunk)
        while forwards and chunk:
            try:
                chunk = chunk[os.write(target, chunk) :]
            except BrokenPipeError:
                forwards = False
    os.close(target)


def main() -> int:
    """Runs the command between two pumps, and returns its exit code as a shell would."""
    folder, place, *command = sys.argv[1:]
    is_outer = "TAP_RUN" not in os.environ
    run = os.environ.setdefault("TAP_RUN", f"{time.monotonic_ns():020}-{os.getpid()}")
    name = os.path.join(folder, f"{run}.{place}")
    copy_in, copy_out = (open(f"{name}.{end}", "wb", buffering=0) for end in ("in", "out"))
    errors = open(f"{name}.err", "wb", buffering=0) if is_outer else None
    signals: "list[int]" = []
    child: "subprocess.Popen[bytes] | None" = None

    def forward(number: int, _frame: object) -> None:
        """Passes on what the client ends the command with."""
        signals.append(number)
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    assert child.stdin is not None and child.stdout is not None
    # Only the pump of the output is waited for: the one of the input may wait for a client that writes no more.
    threading.Thread(target=pump, args=(0, child.stdin.fileno(), copy_in), daemon=True).start()
    out = threading.Thread(target=pump, args=(child.stdout.fileno(), 1, copy_out))
    out.start()
    code = child.wait()
    out.join()
    # Rename the finished file, so that a reader never sees half of it.
    with open(f"{name}.tmp", "w", encoding="utf-8") as file:
        json.dump({"code": code, "signals": signals}, file)
    os.rename(f"{name}.tmp", f"{name}.end")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main())
