"""A metric over revisions: reports of one machine in the order of their commits, and where a level steps.

Revisions with the same values for the same seeds are one group: what has the same bits was measured once, however often
it is written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from harness.comparison.change_points import STEP_ALPHA, ChangePoint, change_points
from harness.comparison.rule import Rule
from harness.comparison.verdicts import facts_of
from harness.files.figures import figure, rendered, save_picture
from harness.files.git import run_git
from harness.files.writing import write_text
from harness.records.record import Record, read_records
from harness.records.report_folder import RECORDS, SESSION, read_session
from harness.reporting.pages import write_table
from harness.reporting.table import spread
from harness.reporting.web_page import embedded_file, render

_PANELS = 60  # series that are drawn; the table has all


@dataclass(frozen=True)
class RevisionReport:
    """What one report says, and of which commit; `when` is the commit's time, or that of the report."""

    revision: str
    when: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Group:
    """Revisions with the same values for the same seeds, the first of them named first."""

    revisions: tuple[str, ...]
    values: tuple[tuple[int | None, float], ...]


@dataclass(frozen=True)
class Course:
    """One series of one reference, measured in one way on one machine, over revisions, and its steps."""

    reference: str
    series: str
    device: str
    unit: str
    better: str
    groups: tuple[Group, ...]
    steps: tuple[ChangePoint, ...]

    def said(self, step: ChangePoint) -> str:
        """A step in words: `worse at 1a2b3c4, after 0f9e8d7: 10.2 to 12.4`."""
        rises = step.after > step.before
        worse = {"lower": rises, "higher": not rises}.get(self.better)
        kind = "changes" if worse is None else "worse" if worse else "better"
        new, old = self.groups[step.place].revisions[0], self.groups[step.place - 1].revisions[-1]
        return f"{kind} at {new[:7]}, after {old[:7]}: {step.before:.4g} to {step.after:.4g}, p = {step.p:.2g}"


def read_history(folders: Iterable[Path]) -> list[RevisionReport]:
    """Every report in these folders or below them, in the order of their commits.

    Raises:
        ValueError: there is none, or one doesn't say of which commit it is.
    """
    found: list[RevisionReport] = []
    files = sorted({file for folder in folders for file in folder.glob(f"**/{RECORDS}")})
    for file in files:
        if not (file.parent / SESSION).is_file():
            continue
        asked, records = read_session(file.parent), tuple(read_records(file))
        if not asked.revision:
            raise ValueError(f"{file.parent} doesn't say of which commit it is: no history can have it")
        when = _commit_time(asked.revision) or min((r.time for r in records if r.time), default=asked.finished)
        found.append(RevisionReport(asked.revision + ("" if asked.clean else "+"), when, records))
    if not found:
        raise ValueError("no report lies there: a history is of folders that `gan-harness suites` has written")
    return sorted(found, key=lambda measured: measured.when)


def courses(history: Sequence[RevisionReport], rule: Rule, alpha: float = STEP_ALPHA) -> list[Course]:
    """Every series that was measured in the same way at two revisions or more."""
    rows = [(m.revision, r) for m in history for r in m.records if rule.covers(r) and r.value is not None]
    by_key: dict[tuple[str, ...], list[tuple[str, Record]]] = {}
    for revision, record in rows:
        key = (record.reference, record.series, record.device, str(sorted(facts_of(record).items())))
        by_key.setdefault(key, []).append((revision, record))
    found = []
    for (reference, series, device, _), group in by_key.items():
        groups = _groups(group)
        if len({revision for revision, _ in group}) < 2:
            continue
        steps = change_points([[value for _, value in one.values] for one in groups], alpha)
        first = group[0][1]
        found.append(Course(reference, series, device, first.unit, first.better, tuple(groups), tuple(steps)))
    return found


def courses_table(found: Sequence[Course]) -> pd.DataFrame:
    """A row per series: how many revisions, what it was first and is now, and its steps."""
    return pd.DataFrame(
        [
            {
                "reference": course.reference,
                "metric": course.series,
                "measured on": course.device,
                "revisions": sum(len(group.revisions) for group in course.groups),
                "with other values": len(course.groups),
                "first": spread([value for _, value in course.groups[0].values]),
                "now": spread([value for _, value in course.groups[-1].values]),
                "steps": "; ".join(course.said(step) for step in course.steps) or "–",
            }
            for course in found
        ]
    )


def write_history(found: Sequence[Course], out: Path, alpha: float) -> Path:
    """Write the table, the picture and the page; returns the page."""
    table = courses_table(found)
    stepped = sum(bool(course.steps) for course in found)
    title = f"{len(found)} series over revisions; {stepped} step"
    answer = (
        f"{title}. A step that isn't one is marked in {alpha:.0%} of the series. Revisions with the same values for "
        "the same seeds count once."
    )
    write_table(out, "history", table, f"# History\n\n{answer}")
    picture = _draw(out / "plots" / "history.png", found)
    page = render(
        "history.html.j2",
        title="History",
        answer=answer,
        drawn=[{"caption": "Values over revisions; red lines are steps", "source": embedded_file(picture)}],
        rows=table.to_dict("records"),
    )
    write_text(out / "history.html", page)
    return out / "history.html"


def _groups(rows: Sequence[tuple[str, Record]]) -> list[Group]:
    """The values revision by revision; neighbours with the same ones together."""
    found: list[Group] = []
    by_revision: dict[str, list[Record]] = {}
    for revision, record in rows:
        by_revision.setdefault(revision, []).append(record)
    for revision, own in by_revision.items():
        values = tuple(sorted(((r.seed, r.value) for r in own if r.value is not None), key=str))
        if found and found[-1].values == values:
            found[-1] = Group((*found[-1].revisions, revision), values)
        else:
            found.append(Group((revision,), values))
    return found


def _draw(path: Path, found: Sequence[Course]) -> Path:
    panels = sorted(found, key=lambda course: not course.steps)[:_PANELS]
    columns = min(3, len(panels))
    drawn = figure(5 * columns, 2.4 * -(-len(panels) // columns))
    for place, course in enumerate(panels, 1):
        axes = drawn.add_subplot(-(-len(panels) // columns), columns, place)
        names = [group.revisions[0][:7] for group in course.groups]
        for number, group in enumerate(course.groups):
            axes.plot([number] * len(group.values), [value for _, value in group.values], "o", markersize=3, color="C0")
        for step in course.steps:
            axes.axvline(step.place - 0.5, color="red", linewidth=1)
        axes.set_xticks(range(len(names)), names, fontsize=5, rotation=90)
        axes.tick_params(axis="y", labelsize=6)
        axes.set_title(f"{course.reference}, {course.series}", fontsize=7)
    save_picture(path, rendered(drawn))
    return path


def _commit_time(revision: str) -> str:
    """When a commit was made, in the form of a record's time; "" where the repository here doesn't know it."""
    try:
        said = run_git("show", "-s", "--format=%ct", revision)
    except FileNotFoundError:
        return ""
    return "" if said.returncode else datetime.fromtimestamp(int(said.stdout), UTC).isoformat(timespec="seconds")
