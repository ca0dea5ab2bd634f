"""A case: its rounds, each from one seed, so that a failure can be had again alone."""

import collections
import random
import shlex
import traceback
from dataclasses import dataclass
from typing import Callable

from place import Broken, Skip

CASES = {}

# Failures of one case after which it is known not to hold.
FAILURES_MAX = 10


@dataclass
class Case:
    """What is done in a round, to which seeds, and what it shows."""

    name: str
    says: str
    seeds: Callable
    round: Callable
    small: int
    full: int
    sampled: bool

    def run(self, chosen):
        """Runs its rounds; returns the failures, the skips and what was seen."""
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
            except Exception as error:  # noqa: BLE001 - whatever it was, the round did not hold
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
        # One of each part of them, so that every kind that stands together is met.
        draw, part = random.Random(7), len(seeds) / count
        return [seeds[int(part * (n + draw.random()))] for n in range(count)]


def case(name, says, small, full, seeds=None):
    """Makes a function of one seed a case.

    With `seeds` its rounds are those, of which the small form draws a few; otherwise they are numbered.
    """

    def register(function):
        CASES[name] = Case(name, says, seeds, function, small, full, seeds is not None)
        return function

    return register
