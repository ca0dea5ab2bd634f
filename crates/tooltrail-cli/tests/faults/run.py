#!/usr/bin/env python3
"""The fault suite: runs the real binary on real disks with kills, power cuts, full disks and errors.

After each round an oracle checks the home.

run.py                 all cases with few rounds each; takes minutes
run.py --full          all rounds; takes hours
run.py NAME…           only these cases
run.py NAME --seed S   one round of a case, as a failure prints it
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import case  # noqa: E402
from place import Skip  # noqa: E402

MODULES = [
    "judged",
    "kills",
    "durability",
    "syscalls",
    "power",
    "torn",
    "segments",
    "changed",
    "processes",
    "trouble",
    "full",
    "clocks",
]

# The most skipped rounds of one case that are printed one by one.
SKIPS_TOLD_MAX = 4


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME", help="cases; all where none is named")
    arguments.add_argument("--full", action="store_true", help="all rounds")
    arguments.add_argument("--rounds", type=int, help="so many rounds of each case")
    arguments.add_argument("--seed", help="only the round of this seed")
    arguments.add_argument("--list", action="store_true", help="only name the cases")
    arguments.add_argument("--keep-going", action="store_true", help="further rounds of a case after a failure")
    chosen = arguments.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    unknown = set(chosen.names) - set(case.CASES)
    if unknown:
        arguments.error(f"no such case: {', '.join(sorted(unknown))}; --list names them")
    names = chosen.names or list(case.CASES)
    if chosen.list:
        print("\n".join(f"{name:<24}{case.CASES[name].says}" for name in names))
        return 0
    failed, skipped = [], []
    for name in names:
        begun = time.monotonic()
        try:
            failures, skips, told = case.CASES[name].run(chosen)
        except Skip as why:
            skipped.append(f"skipped: {name} ({why})")
            continue
        failed += failures
        # Print one reason only once.
        skipped += skips if len(skips) < SKIPS_TOLD_MAX else [f"{skips[0]} and {len(skips) - 1} more"]
        state = "FAILED" if failures else "skipped" if skips else "ok"
        print(f"{state:<8}{name:<24}{time.monotonic() - begun:6.1f} s  {told}", flush=True)
    print(f"\n{len(failed)} failures")
    for failure in failed:
        print(f"FAILED: {failure[:160].splitlines()[0]}{failure[failure.rindex(chr(10)) :]}")
    # Print these last, so that a reader sees that the run was not complete.
    print("\n".join(skipped), end="\n" if skipped else "")
    return 1 if failed or (skipped and os.environ.get("CI") == "true") else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        traceback.print_exc(limit=1)
        sys.exit(130)
