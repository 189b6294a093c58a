"""`batch-size`: how many samples a step can take at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Column, Table

from harness.cli.app import command
from harness.memory.options import BatchSizeOptions
from harness.reporting.console import new_console, new_table
from harness.reporting.screen import showing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.memory.batch_size import SearchResult, Trial


_SECONDS_A_SIZE = 5.0  # whether a batch fits shows in its first steps


@command("batch-size")
def batch_size(options: BatchSizeOptions) -> None:
    """Find the largest batch that fits: go on until one doesn't, then bisect, as document 000 advises.

    With a budget each size is estimated; without one each is really trained with, in a process of its own: the
    smallest, then what is estimated to fit, and on from there; each is printed as it is tried.

    Example: [bold]gan-harness batch-size handson-dcgan-mnist --budget 8GiB[/bold]
    """
    from harness.data.registry import documented_samples
    from reference import get, load_module

    for module in options.modules:
        load_module(module)
    card = get(options.name).card
    limit = documented_samples(card) or 2**20
    console = new_console()
    with showing():
        answer, how = (_estimated if options.budget else _measured)(options, limit)
    tried, found = answer.tried, answer.batch_size
    console.print(_table(sorted(tried, key=lambda one: one.batch_size)))
    others = sorted({other for one in tried for other in one.others})
    if others:
        console.print(escape(f"other processes held memory on the card: {'; '.join(others)}"))
    if options.plot is not None:
        from harness.reporting.plots import save_curve

        save_curve(options.plot, options.name, _curves(tried))
    whole = f", the whole data set of {limit:,}" if found == limit and documented_samples(card) else ""
    console.print(f"the largest batch of {escape(options.name)} that fits: [bold]{found}[/bold]{whole} ({how})")


def _estimated(options: BatchSizeOptions, limit: int) -> tuple[SearchResult, str]:
    """The largest batch within the budget, and how that is known."""
    from harness.memory.batch_size import in_mib, parse_size, within_budget
    from harness.memory.cublas import Workspaces
    from reference import get

    allowed = parse_size(options.budget, "--budget")
    held = parse_size(options.cuda_context, "--cuda-context") if options.cuda_context else 0
    found = within_budget(get(options.name), allowed, held, limit)
    beside = f"with {in_mib(held)} for the context" if held else "without the CUDA context, some hundred MiB"
    torch_version = Workspaces.of().version
    return found, f"estimated for any CUDA device under torch {torch_version}, {beside}; budget {in_mib(allowed)}"


def _measured(options: BatchSizeOptions, limit: int) -> tuple[SearchResult, str]:
    """The largest batch that was trained with, and how that is known."""
    from harness.memory.batch_size import on_device
    from harness.memory.measure import NO_ANSWER, Cell
    from harness.training.device import resolve_device, why_no_gpu
    from reference import get

    device = resolve_device(options.device)
    if device.type != "cuda":
        raise ValueError(
            f"there is no GPU to try on ({why_no_gpu() or 'the CPU was asked for'}): name what must "
            "suffice, such as --budget 8GiB"
        )
    cell = Cell(
        options.name,
        1,
        str(device),
        options.deterministic,
        steps=options.steps,
        seconds=_SECONDS_A_SIZE,
        modules=options.modules,
    )
    time_limit = math.inf if options.time_limit is None else options.time_limit
    answer = on_device(cell, get(options.name), limit, time_limit)
    how = f"each size trained with on {device}"
    if answer.guess is not None:
        how += f"; the estimate said {answer.guess}"
    if not answer.complete:
        last = answer.tried[-1]
        why = f"{last.why} at batch {last.batch_size}" if last.why.startswith(NO_ANSWER) else "its time was over"
        how += f"; the search was cut short, {why}: a larger one may fit"
    return answer, how


def _curves(tried: Sequence[Trial]) -> dict[str, dict[int, float]]:
    """MiB by batch size."""
    known = {
        "reserved, estimated": {one.batch_size: one.estimated for one in tried},
        "reserved, measured": {one.batch_size: one.measured for one in tried},
        "by the driver, measured": {one.batch_size: one.driver for one in tried},
    }
    return {
        label: {size: taken / 2**20 for size, taken in values.items() if taken is not None}
        for label, values in known.items()
    }


def _table(tried: Sequence[Trial]) -> Table:
    table = new_table(
        Column("batch", justify="right"),
        Column("reserved, estimated (MiB)", justify="right"),
        Column("reserved, measured (MiB)", justify="right"),
        Column("by the driver (MiB)", justify="right"),
        Column("step (ms)", justify="right"),
        Column("images/s", justify="right"),
        "",
    )
    for one in tried:
        mib = [
            f"{size / 2**20:,.0f}" if size is not None else "–" for size in (one.estimated, one.measured, one.driver)
        ]
        speed = (f"{one.step_ms:.1f}", f"{1000 * one.batch_size / one.step_ms:,.0f}") if one.step_ms else ("–", "–")
        table.add_row(str(one.batch_size), *mib, *speed, one.verdict)
    return table
