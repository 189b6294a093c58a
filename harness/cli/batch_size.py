"""`batch-size`: how many samples a step can take at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from harness.cli import Device, Modules, app
from harness.reporting.console import new_console, new_table

if TYPE_CHECKING:
    from harness.memory.batch_size import Tried


_SECONDS_A_SIZE = 5.0  # whether a batch fits shows in its first steps


@app.command("batch-size")
def batch_size(
    name: Annotated[str, typer.Argument(help="A reference, e.g. handson-dcgan-mnist.")],
    budget: Annotated[
        str, typer.Option(help="Memory to stay within, e.g. 8GiB: estimated, no GPU needed. Default: try on the GPU.")
    ] = "",
    context: Annotated[
        str,
        typer.Option(help="With --budget: what the CUDA context takes of it, as a card measured it: 500MiB."),
    ] = "",
    device: Device = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="On the GPU: deterministic algorithms, not cudnn.benchmark.")
    ] = False,
    steps: Annotated[int, typer.Option(help="On the GPU: steps to time at each size.")] = 10,
    time_limit: Annotated[
        float | None, typer.Option(help="On the GPU: seconds after which no further size is tried.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG for the memory curve.")] = None,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Find the largest batch that fits: go on until one doesn't, then bisect, as document 000 advises.

    With a budget each size is estimated; without one each is really trained with, in a process of its own: the
    smallest, then what is estimated to fit, and on from there; each is printed as it is tried.

    Example: [bold]gan-harness batch-size handson-dcgan-mnist --budget 8GiB[/bold]
    """
    from harness.data.registry import documented_samples
    from harness.memory.batch_size import in_mib, on_device, parse_size, within_budget
    from harness.memory.cublas import Workspaces
    from harness.memory.measure import NO_ANSWER, Cell
    from harness.training.device import resolve_device, why_no_gpu
    from reference import get, load_module

    for module in reference_module:
        load_module(module)
    reference = get(name)
    chosen = resolve_device(device or "auto")
    if plot is not None and plot.suffix != ".png":
        raise ValueError(f"--plot must name a .png file, not {plot}")
    cell = Cell(
        name, 1, str(chosen), deterministic, steps=steps, seconds=_SECONDS_A_SIZE, modules=tuple(reference_module)
    )
    limit = documented_samples(reference.card) or 2**20
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise ValueError(f"--time-limit must be more than 0 seconds, not {time_limit:g}")
    tried: list[Tried] = []
    console = new_console()
    if budget:
        allowed = parse_size(budget, "--budget")
        held = parse_size(context, "--context") if context else 0
        with console.status("estimating") as status:

            def said(one: Tried) -> None:
                tried.append(one)
                status.update(f"batch {one.batch_size}: {in_mib(one.estimated or 0)}, {_verdict(one)}")

            found = within_budget(reference, allowed, held, limit, said)
        beside = f"with {in_mib(held)} for the context" if held else "without the CUDA context, some hundred MiB"
        how = f"estimated for any CUDA device under torch {Workspaces.of().version}, {beside}; budget {in_mib(allowed)}"
    else:
        if context:
            raise ValueError("--context plays a part with --budget alone: on a GPU the context is measured")
        if chosen.type != "cuda":
            raise ValueError(
                f"there is no GPU to try on ({why_no_gpu() or 'the CPU was asked for'}): name what must "
                "suffice, such as --budget 8GiB"
            )
        with console.status("trying") as status:

            def noted(one: Tried) -> None:
                tried.append(one)
                console.print(escape(f"batch {one.batch_size}: {_verdict(one)}"))
                status.update(f"{len(tried)} sizes tried, the last {one.batch_size}")

            answer = on_device(cell, reference, limit, noted, math.inf if time_limit is None else time_limit)
        found = answer.batch_size
        how = f"each size trained with on {chosen}"
        if answer.guess is not None:
            how += f"; the estimate said {answer.guess}"
        if not answer.complete:
            last = tried[-1]
            why = f"{last.why} at batch {last.batch_size}" if last.why.startswith(NO_ANSWER) else "its time was over"
            how += f"; the search was cut short, {why}: a larger one may fit"
        others = sorted({other for one in tried for other in one.others})
        if others:
            console.print(escape(f"other processes held memory on the card: {'; '.join(others)}"))
    console.print(_table(sorted(tried, key=lambda one: one.batch_size)))
    if plot is not None:
        from harness.reporting.plots import save_curve

        save_curve(plot, name, _curves(tried))
    whole = f", the whole data set of {limit:,}" if found == limit and documented_samples(reference.card) else ""
    console.print(f"the largest batch of {escape(name)} that fits: [bold]{found}[/bold]{whole} ({how})")


def _verdict(one: Tried) -> str:
    return "fits" if one.fits else one.why or "too large"


def _curves(tried: list[Tried]) -> dict[str, dict[int, float]]:
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


def _table(tried: list[Tried]) -> Table:
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
        table.add_row(str(one.batch_size), *mib, *speed, _verdict(one))
    return table
