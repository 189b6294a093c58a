"""Two runs beside each other on one page: what they draw, their losses laid over each other, seeds as points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.checks.loss_curves import loss_course
from harness.comparison.baseline import read_record_set
from harness.comparison.page import comparison_table
from harness.comparison.verdicts import Comparison, NotComparableError, compare, tally
from harness.files.figures import figure, rendered, save_picture
from harness.files.kept import kept_arrays
from harness.files.writing import write_text
from harness.records.record import Record
from harness.records.report_folder import PLOT_KINDS, RECORDS
from harness.reporting.web_page import embedded_file, render
from harness.training.run_folder import RUN_FILE, RunFolder, read_rows

_PANELS = 60  # series that are drawn; the table has all


@dataclass(frozen=True)
class Side:
    """One run: a report's folder, or a training's.

    Attributes:
        losses: by training, arrays with the fields `step` and each loss's name.
        pictures: by what they show.
    """

    name: str
    records: tuple[Record, ...]
    losses: Mapping[str, NDArray[Any]]
    pictures: Mapping[str, Path] = field(default_factory=dict)


def read_side(path: Path) -> Side:
    """What there is to see of a report's folder, or of a training's.

    Raises:
        ValueError: it is neither, or damaged.
    """
    if (path / RUN_FILE).is_file():
        run, folder = RunFolder(path), path / "samples"
        drawn = _named(path, ["progress.gif"])
        if grids := sorted(folder.glob("step-*.png")):
            drawn = {"the last samples": grids[-1], **drawn}
        records = read_record_set(path) if (path / RECORDS).is_file() else []
        return Side(str(path), tuple(records), {"losses": loss_course(list(read_rows(run.metrics)))}, drawn)
    plots = path / "plots"
    files = sorted(file.name for file in plots.glob("*") if file.suffix in PLOT_KINDS)
    return Side(str(path), tuple(read_record_set(path)), kept_arrays(plots / "losses"), _named(plots, files))


def _named(folder: Path, files: Iterable[str]) -> dict[str, Path]:
    return {Path(name).stem: folder / name for name in files if (folder / name).is_file()}


def write_side_by_side(base: Path, candidate: Path, into: Path) -> Path:
    """Write the page of two runs into the folder `into`; returns its path.

    Raises:
        ValueError: a side that is neither a report's folder nor a training's, or is damaged.
    """
    sides = read_side(base), read_side(candidate)
    comparisons, answer = _compared(*sides)
    into.mkdir(parents=True, exist_ok=True)
    drawn = {
        "Losses, laid over each other": _draw_losses(into / "losses.png", *sides),
        "Seeds as points, the base above": _draw_points(into / "points.png", comparisons),
    }
    shown = [name for name in sides[0].pictures if name in sides[1].pictures]
    alone = [(side.name, name) for side in sides for name in side.pictures if name not in shown]
    page = render(
        "side_by_side.html.j2",
        title="Before and after",
        sides=[side.name for side in sides],
        answer=answer,
        drawn=[{"caption": name, "source": embedded_file(path)} for name, path in drawn.items() if path is not None],
        pairs=[{"name": name, "sources": [embedded_file(side.pictures[name]) for side in sides]} for name in shown],
        alone=alone,
        rows=comparison_table(comparisons).to_dict("records"),
    )
    written = into / "side_by_side.html"
    write_text(written, page)
    return written


def _compared(base: Side, candidate: Side) -> tuple[list[Comparison], str]:
    try:
        comparisons = compare(base.records, candidate.records)
    except NotComparableError as error:
        return [], f"No verdict: {error}."
    return comparisons, tally(comparisons)


def _draw_losses(path: Path, base: Side, candidate: Side) -> Path | None:
    both = [title for title in base.losses if title in candidate.losses]
    panels = [(title, name) for title in both for name in (base.losses[title].dtype.names or ())[1:]]
    if not panels:
        return None
    columns = min(3, len(panels))
    drawn = figure(4.5 * columns, 2.8 * -(-len(panels) // columns))
    for place, (title, name) in enumerate(panels, 1):
        axes = drawn.add_subplot(-(-len(panels) // columns), columns, place)
        for side, style in ((base, "-"), (candidate, "--")):
            course = side.losses[title]
            if name in (course.dtype.names or ()):
                axes.plot(course["step"], course[name], style, linewidth=1, label=side.name)
        axes.set_title(f"{title}: {name}", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6)
    save_picture(path, rendered(drawn))
    return path


def _draw_points(path: Path, comparisons: Sequence[Comparison]) -> Path | None:
    panels = [c for c in comparisons if c.base and c.candidate][:_PANELS]
    if not panels:
        return None
    columns = min(3, len(panels))
    drawn = figure(4.5 * columns, 1.2 * -(-len(panels) // columns))
    for place, comparison in enumerate(panels, 1):
        axes = drawn.add_subplot(-(-len(panels) // columns), columns, place)
        for height, values in ((1, comparison.base), (0, comparison.candidate)):
            axes.plot(values, [height] * len(values), "o", markersize=4, alpha=0.7)
        axes.set_title(f"{comparison.reference}, {comparison.series}: {comparison.verdict}", fontsize=7)
        axes.set_yticks([1, 0], ["base", "candidate"], fontsize=6)
        axes.set_ylim(-0.5, 1.5)
        axes.tick_params(axis="x", labelsize=6)
    save_picture(path, rendered(drawn))
    return path
