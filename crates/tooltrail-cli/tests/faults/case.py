"""A case and its rounds; each round depends on one seed, so that a failed round can be repeated alone."""

import collections
import random
import shlex
import traceback
from dataclasses import dataclass
from typing import Callable

from place import Broken, Skip

CASES = {}

# A case stops after this many failures.
FAILURES_MAX = 10


@dataclass
class Case:
    """A case: its name and description, its seeds, the function of a round, and the number of rounds."""

    name: str
    says: str
    seeds: Callable
    round: Callable
    small: int
    full: int
    sampled: bool

    def run(self, chosen):
        """Runs the rounds; returns the failures, the skips and a summary of what the rounds counted."""
        seen = collections.Counter()
        failures, skips = [], []
        for seed in self.chosen(chosen):
            try:
                seen.update(self.round(seed) or {})
            except Skip as why:
                skips.append(f"skipped: {self.name} {seed if self.sampled else ''}".rstrip() + f" ({why})")
                if not self.sampled:
                    break
                continue
            except Exception as error:  # noqa: BLE001 - any exception is a failure of the round
                text = str(error) if isinstance(error, Broken) else traceback.format_exc()
                failures.append(
                    f"{self.name} {seed}: {text}\n  again: scripts/faults {self.name} --seed {shlex.quote(seed)}"
                )
                print(failures[-1], flush=True)
                if not chosen.keep_going or len(failures) >= FAILURES_MAX:
                    break
            seen["rounds"] += 1
        return failures, skips, ", ".join(f"{count} {what}" for what, count in seen.items())

    def chosen(self, chosen):
        if chosen.seed is not None:
            return [chosen.seed]
        count = chosen.rounds or (self.full if chosen.full else self.small)
        if not self.sampled:
            return [str(seed) for seed in range(count)]
        seeds = [str(seed) for seed in self.seeds()]
        if count >= len(seeds):
            return seeds
        # Draw one seed from each part of the list, so that every group of neighbouring seeds is tested.
        draw, part = random.Random(7), len(seeds) / count
        return [seeds[int(part * (n + draw.random()))] for n in range(count)]


def case(name, says, small, full, seeds=None):
    """Makes a case from a function that takes one seed.

    With `seeds`, each of these is one round, and the small form draws a few of them. Otherwise rounds are numbered.
    """

    def register(function):
        CASES[name] = Case(name, says, seeds, function, small, full, seeds is not None)
        return function

    return register
