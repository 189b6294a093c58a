"""`gan-harness memory`: a step's memory by batch size, estimated on any machine and measured where there is a GPU."""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.app import command
from harness.memory.options import MemoryOptions
from harness.records.progress import report_progress
from harness.reporting.screen import showing

if TYPE_CHECKING:
    import torch

    from harness.memory.record import Write

_log = logging.getLogger(__name__)


@command("memory")
def memory(options: MemoryOptions) -> None:
    """Make the tables of memory by batch size: estimated on any machine, and measured where there is a GPU.

    Example: [bold]gan-harness memory --references handson-dcgan-mnist[/bold]
    """
    with showing():
        written = write_memory_report(options)
    for path in written:
        print(path)


def write_memory_report(asked: MemoryOptions) -> list[Path]:
    """Estimate every cell, measure it where there is a GPU, and write the tables; what was written.

    Raises:
        ValueError: anything asked for that can't be had.
    """
    from harness.data.registry import brings_data, data_root, documented_samples
    from harness.files.git import revision_here
    from harness.memory.batch_size import parse_batch_sizes
    from harness.memory.record import documented_batch_sizes
    from harness.records.report_folder import Asked
    from harness.reporting.pages import write_report
    from harness.reporting.recorder import Recorder
    from harness.training.device import resolve_device
    from reference import get, load_module, matching, specs

    for module in asked.modules:
        load_module(module)
    chosen = matching(specs(), asked.references or "*")
    own = any(brings_data(get(spec)) for spec in chosen)
    device, root = resolve_device(asked.device), data_root(asked.data_root, own=own)
    if not asked.references:
        chosen = [spec for spec in chosen if "@" not in spec]
    sizes: dict[str, list[int]] = {}
    for spec in chosen:
        card = get(spec).card
        given = parse_batch_sizes(asked.batch_sizes, card, documented_samples(card)) if asked.batch_sizes else []
        sizes[spec] = given or list(documented_batch_sizes(card))
    of_what = Asked(tuple(chosen), tuple(asked.modules), *revision_here())
    with contextlib.closing(Recorder(asked.out, "tables", device, of_what)) as it:
        _write_cells(partial(it.record, "memory"), asked, device, root, sizes)
        it.finish({}, complete=True)
    return write_report(asked.out, [(spec, get(spec).card) for spec in chosen])


def _write_cells(
    write: Write,
    asked: MemoryOptions,
    device: torch.device,
    root: Path | None,
    sizes: dict[str, list[int]],
) -> None:
    """Every cell: estimated, and measured where there is a GPU."""
    from harness.memory.measure import Cell
    from harness.memory.record import record_cell, record_epoch_ratio, record_estimate, record_not_yet
    from harness.records.metrics import PEAK_ALLOCATED
    from harness.training.device import IS_DETERMINISTIC, numerics_of
    from reference import get

    ways = numerics_of(device) if device.type == "cuda" else []
    total, done = sum(len(listed) * (1 + len(ways)) for listed in sizes.values()), 0
    for spec in sizes:
        reference = get(spec)
        for size in sizes[spec]:
            report_progress(_log, "memory", done, total, detail=f"{spec}, batch {size}: estimating")
            try:
                record_estimate(write, spec, reference, size)
            except ValueError as error:  # the step reads values, or takes no such batch
                write(spec, PEAK_ALLOCATED, None, status="skipped", reason=str(error))
            done += 1
        for way in ways:
            cells = []
            for size in sizes[spec]:
                report_progress(_log, "memory", done, total, detail=f"{spec}, batch {size}, {way}: measuring")
                cell = Cell(spec, size, str(device), IS_DETERMINISTIC[way], modules=asked.modules)
                cells.append((cell, record_cell(write, cell, reference.card, root)))
                done += 1
            if not IS_DETERMINISTIC[way]:
                record_epoch_ratio(write, spec, reference.card, cells)
        if not ways:
            record_not_yet(write, spec, reference.card)
