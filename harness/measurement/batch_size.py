"""The largest batch that fits: double until it no longer does, then bisect, as document 000 advises."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.measurement.cell import Cell, measure
from harness.measurement.estimate import Estimate, estimate
from harness.measurement.following import WEIGHTS, NotFollowableError
from harness.measurement.prepared import check_batch_size
from reference import Card, Reference

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
MIB = 2**20


@dataclass(frozen=True)
class Tried:
    """One batch size: whether it fits, what it takes (bytes), its median step (ms), and what kept it from fitting."""

    batch_size: int
    fits: bool
    estimated: int | None = None
    measured: int | None = None
    driver: int | None = None
    available: int | None = None
    step_ms: float | None = None
    why: str = ""


def largest_that_fits(fits: Callable[[int], bool], limit: int, start: int = 1) -> int:
    """A number from `start` to `limit` that fits while the next one doesn't (or is beyond the limit), else 0.

    That is the largest one if nothing fits above one that doesn't, which caches may spoil by a little. Each number is
    asked for at most once.
    """
    good, bad = start - 1, start
    while bad <= limit and fits(bad):
        good, bad = bad, min(2 * bad, limit) if bad < limit else limit + 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good if good >= start else 0


def smallest_batch(reference: Reference) -> Estimate:
    """The estimate for the smallest batch that the step takes: 1, or 2 where statistics are over the batch.

    Raises:
        ValueError: it takes neither, or can't be followed.
    """
    try:
        return estimate(reference, 1)
    except NotFollowableError:
        raise
    except ValueError as error:
        try:
            return estimate(reference, 2)
        except ValueError:
            raise error from None


def within_budget(reference: Reference, budget: int, context: int, limit: int, said: Callable[[Tried], None]) -> int:
    """The largest batch whose estimate (reserved, and `context` beside it) stays within `budget` bytes.

    Raises:
        ValueError: not even the smallest batch fits; or as `smallest_batch`.
    """
    smallest = smallest_batch(reference)
    weights = smallest.parts.get(WEIGHTS, 0)
    if budget < weights:
        raise ValueError(
            f"a budget of {in_mib(budget)} is smaller than the weights of {reference.card.name}: {in_mib(weights)}"
        )

    def fits(batch_size: int) -> bool:
        try:
            one = smallest if batch_size == smallest.batch_size else estimate(reference, batch_size)
        except ValueError as error:
            said(Tried(batch_size, False, why=str(error)))
            return False
        taken = one.peak_reserved + context
        said(Tried(batch_size, taken <= budget, estimated=taken))
        return taken <= budget

    found = largest_that_fits(fits, limit, smallest.batch_size)
    if not found:
        raise ValueError(
            f"a budget of {in_mib(budget)} holds no batch of {reference.card.name}: "
            f"{smallest.batch_size} at a time takes {in_mib(smallest.peak_reserved + context)}"
        )
    return found


def on_device(cell: Cell, reference: Reference, limit: int, said: Callable[[Tried], None]) -> int:
    """The largest batch whose step really runs on the device of `cell`, each size in a process of its own; 0 for none.

    Raises:
        ValueError: as `smallest_batch`.
    """

    def fits(batch_size: int) -> bool:
        try:
            found = measure(dataclasses.replace(cell, batch_size=batch_size))
        except ValueError as error:
            said(Tried(batch_size, False, why=str(error)))
            return False
        done = not found.ended
        said(
            Tried(
                batch_size,
                done,
                estimated=estimate(reference, batch_size).peak_reserved,
                measured=found.peak_reserved,
                driver=found.driver,
                available=found.available,
                step_ms=found.median_ms if done else None,
                why=found.ended,
            )
        )
        return done

    return largest_that_fits(fits, limit, smallest_batch(reference).batch_size)


def parse_size(text: str, what: str) -> int:
    """`8GiB`, `8G`, `512 MB`, `1e9` as bytes; G is GiB, GB is 10⁹ bytes.

    Raises:
        ValueError: another form, or less than one byte.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e\+?[0-9]+)?)\s*([kmgt]?)(i?b)?\s*", text, re.IGNORECASE)
    unit = found[2].lower() if found else ""
    decimal = bool(found and unit and (found[3] or "").lower() == "b")
    size = float(found[1]) * (1000 if decimal else 1024) ** _UNITS[unit] if found else 0.0
    if not 1 <= size < 2**63:
        raise ValueError(f"{what} must be a size such as 8GiB, 512MiB or 6GB, not {text!r}")
    return int(size)


def parse_batch_sizes(text: str, card: Card, samples: int | None) -> list[int]:
    """`64,128,256` as numbers, in rising order, each once.

    Raises:
        ValueError: a part that is no whole number, below 1, or larger than the data set.
    """
    sizes = set()
    for part in text.split(","):
        if not re.fullmatch(r"\s*-?[0-9]{1,18}\s*", part):
            raise ValueError(f"a batch size must be a whole number, not {part.strip()!r}")
        size = int(part)
        check_batch_size(size, card, samples)
        sizes.add(size)
    return sorted(sizes)


def in_mib(size: float) -> str:
    """Bytes as `12.3 MiB`."""
    return f"{size / MIB:,.1f} MiB"
