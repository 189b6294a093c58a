"""The largest batch that fits: go on until one no longer does, then bisect, as document 000 advises."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.memory.estimate import Estimate, estimate
from harness.memory.measure import NO_ANSWER, Cell, measure_cell
from harness.memory.storage_tracer import WEIGHTS, UntraceableError
from harness.records.progress import report_progress
from harness.training.out_of_memory import does_not_fit
from harness.training.synthetic_step import check_batch_size
from reference import Card, Reference

_log = logging.getLogger(__name__)

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
MIB = 2**20


@dataclass(frozen=True)
class Trial:
    """One batch size: whether it fits, what it takes (bytes), its median step (ms), what kept it from fitting, and
    which other processes held memory on the card."""

    batch_size: int
    fits: bool
    estimated: int | None = None
    measured: int | None = None
    driver: int | None = None
    others: tuple[str, ...] = ()
    available: int | None = None
    step_ms: float | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        """`fits`, or what kept it from fitting."""
        return "fits" if self.fits else self.why or "too large"


@dataclass(frozen=True)
class SearchResult:
    """What a search came to: the largest batch that fits, 0 for none, and all that were tried, in their order.

    On a device: `guess` is what the estimate said, if it came to that; `complete`, whether the search was over when its
    time was.
    """

    batch_size: int
    tried: tuple[Trial, ...]
    guess: int | None = None
    complete: bool = True


def largest_that_fits(fits: Callable[[int], bool], limit: int, start: int = 1, guess: int | None = None) -> int:
    """A number from `start` to `limit` that fits while the next one doesn't (or is beyond the limit), else 0.

    That is the largest one if nothing fits above one that doesn't, which caches may spoil by a little. Each number is
    asked for at most once. The search begins at `start` and doubles; or at a `guess`, and goes up while numbers fit or
    down while they don't, by a 64th of it, twice that, and so on. Then it bisects what lies between.
    """
    if limit < start:
        return 0
    begin = min(max(guess or start, start), limit)
    stride = begin if guess is None else max(1, begin // 64)
    good, bad = start - 1, limit + 1
    if fits(begin):
        good = begin
        while good < limit:
            further = min(good + stride, limit)
            if not fits(further):
                bad = further
                break
            good, stride = further, 2 * stride
    else:
        bad = begin
        while bad > start:
            nearer = max(bad - stride, start)
            if fits(nearer):
                good = nearer
                break
            bad, stride = nearer, 2 * stride
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
    except UntraceableError:
        raise
    except ValueError as error:
        try:
            return estimate(reference, 2)
        except ValueError:
            raise error from None


def within_budget(reference: Reference, budget: int, context: int, limit: int) -> SearchResult:
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

    tried: list[Trial] = []

    def fits(batch_size: int) -> bool:
        try:
            one = smallest if batch_size == smallest.batch_size else estimate(reference, batch_size)
            taken = one.peak_reserved + context
            tried.append(Trial(batch_size, taken <= budget, estimated=taken))
        except ValueError as error:
            tried.append(Trial(batch_size, False, why=str(error)))
        report_progress(_log, "estimating", detail=f"batch {batch_size}: {tried[-1].verdict}")
        return tried[-1].fits

    found = largest_that_fits(fits, limit, smallest.batch_size)
    if not found:
        raise ValueError(
            f"a budget of {in_mib(budget)} holds no batch of {reference.card.name}: "
            f"{smallest.batch_size} at a time takes {in_mib(smallest.peak_reserved + context)}"
        )
    return SearchResult(found, tuple(tried))


class _OutOfTimeError(Exception):
    """No further size may be tried."""


def on_device(cell: Cell, reference: Reference, limit: int, seconds: float = math.inf) -> SearchResult:
    """The largest batch whose step really runs on the device of `cell`, each size in a process of its own.

    It begins with the smallest batch, which shows what is free on the card beside the context and the libraries, and
    goes on with the largest that the estimate lets fit in there; each is logged as it is tried. After `seconds` it ends
    with what it knows.

    Raises:
        ValueError: as `smallest_batch`; or the smallest batch's step fails, with what it says.
    """
    end = time.monotonic() + seconds
    smallest = smallest_batch(reference)
    tried: dict[int, Trial] = {}

    def fits(batch_size: int) -> bool:
        if batch_size not in tried:
            left = end - time.monotonic()
            if tried and left <= 0:
                raise _OutOfTimeError
            report_progress(_log, "trying", detail=f"batch {batch_size}")
            one = _try(dataclasses.replace(cell, batch_size=batch_size, traced=False), reference, left)
            tried[batch_size] = one
            _log.info(f"batch {batch_size}: {one.verdict}")
            if one.why.startswith(NO_ANSWER):
                raise _OutOfTimeError
        return tried[batch_size].fits

    def found(batch_size: int, *, complete: bool = True) -> SearchResult:
        return SearchResult(batch_size, tuple(tried.values()), guess, complete)

    guess = None
    try:
        if not fits(smallest.batch_size):
            first = tried[smallest.batch_size]
            if not does_not_fit(first.why, surely=True):
                raise ValueError(f"{cell.spec} can't be tried: already at batch {first.batch_size}, {first.why}")
            return found(0)
        guess = _guess(reference, tried[smallest.batch_size], limit)
        return found(largest_that_fits(fits, limit, smallest.batch_size, guess))
    except _OutOfTimeError:
        return found(max((one.batch_size for one in tried.values() if one.fits), default=0), complete=False)


def _guess(reference: Reference, smallest: Trial, limit: int) -> int:
    """The largest batch that the estimate lets fit what the smallest one left; at least that one, which has run."""
    try:
        return within_budget(reference, smallest.available or 0, 0, limit).batch_size
    except ValueError:
        return smallest.batch_size


def _try(cell: Cell, reference: Reference, seconds: float) -> Trial:
    try:
        found = measure_cell(cell, seconds)
    except (ValueError, RuntimeError) as error:
        return Trial(cell.batch_size, False, why=str(error))
    return Trial(
        cell.batch_size,
        not found.ended,
        estimated=estimate(reference, cell.batch_size).peak_reserved,
        measured=found.peak_reserved,
        driver=found.driver,
        others=found.others,
        available=found.available,
        step_ms=None if found.ended else found.median_ms,
        why=found.ended,
    )


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
