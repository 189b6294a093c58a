"""The pages of the manual that are made: `python docs/generate.py`. A test says when they are out of date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import reference
from harness.cli.__main__ import app
from harness.records.metrics import METRICS
from harness.records.misleading import MISLEADS
from harness.records.record import read_records
from harness.reporting.check_tables import mutants_table
from harness.reporting.evidence import Decision, decide, read_evidence, tally_claims
from harness.reporting.published import published_figures, titled
from harness.reporting.tables import TABLES

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
MUTANTS = ROOT / "reports" / "measured" / "amd-epyc-2-cores" / "mutants"


def command_line() -> str:
    """Every command with its options."""
    parts = ["# Command line\n\nMade from the commands themselves. `gan-harness COMMAND --help` says the same."]
    for name, command in _commands(typer.main.get_command(app), ""):
        said = (command.help or "").replace("[bold]", "`").replace("[/bold]", "`")
        said = "\n".join(line.strip() for line in said.strip().splitlines())
        rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
        table = "\n".join(["| | | default |", "| --- | --- | --- |", *rows]) if rows else ""
        parts.append(f"## `gan-harness {name}`\n\n{said}\n\n{table}".rstrip())
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if not names.startswith("`-"):
        names = f"`{(parameter.name or '').upper()}`"
    default = parameter.default
    nothing = default is None or default is False or default == "" or default in ([], ()) or callable(default)
    shown = "" if nothing else f"`{default}`"
    return f"| {names} | {_cell(getattr(parameter, 'help', '') or '')} | {'' if parameter.required else shown} |"


def metrics() -> str:
    """Every metric, with its unit and direction."""
    rows = [
        f"| `{m.name}` | {_cell(m.title)} | {m.unit or '–'} | {m.better} | {', '.join(m.by) or '–'} | "
        f"{'yes' if m.headline else ''} |"
        for m in METRICS.values()
    ]
    return (
        "# Metrics\n\nMade from `harness/records/metrics.py`. How many samples, which extractor, which batch size "
        "stand in each record, never in a name. *Told apart by*: keys of the protocol that make several series of "
        "one metric. "
        "*Gate*: tested unless told otherwise.\n\n"
        "| metric | what | unit | better | told apart by | gate |\n| --- | --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n\n## Tables\n\n| file | what |\n| --- | --- |\n"
        + "\n".join(f"| `{table.name}` | {_cell(table.title)} |" for table in TABLES)
        + "\n"
    )


def mutants() -> str:
    """What the suites notice, as it was measured."""
    table = mutants_table(read_records(MUTANTS / "records.jsonl"), [])
    controls = table["mutant"] == "none"
    broken = table[~controls]
    noticed = int((broken["as it should be"] == "yes").sum())
    quiet = int((table[controls]["as it should be"] == "yes").sum())
    rows = [
        f"| {_cell(row['what is wrong'])} | `{row['applied to']}` | "
        f"{row['noticed by'] if row['as it should be'] == 'yes' else '**nobody** at this cost'} |"
        for _, row in broken.iterrows()
    ]
    return (
        "# Mutants\n\nDo the suites notice broken code? `test_mutants` breaks references from outside, in ways in "
        "which GAN code really breaks, and asks the suites' own checks, the cheapest first. Made from the records in "
        f"`{MUTANTS.relative_to(ROOT)}`, at the cost of the profile `smoke`.\n\n"
        f"{noticed} of {len(broken)} are noticed, and {quiet} of {int(controls.sum())} clean references that serve as "
        "controls raise no alarm. *training*: the values that trainings log over several seeds, held against as many "
        "of the clean reference.\n\n"
        "| what is broken | in | noticed by |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def scorecard() -> str:
    """What the committed reports decide, system by system: the README's scorecard."""
    cards = [(name, reference.get(name).card) for name in reference.names()]
    decisions = decide(cards, [], read_evidence(ROOT / "reports" / "measured"))
    columns = ("reproduced", "partly", "not reproduced", "disputed", "not measured")
    rows = []
    for name, card in cards:
        own = [decision for decision in decisions if decision.reference == name]
        if card.claims:
            counts = [sum(decision.verdict == column for decision in own) or "" for column in columns]
            rows.append(f"| `{name}` | " + " | ".join(map(str, counts)) + f" | {_machines(own)} |")
    head = f"| system | {' | '.join(columns)} | by |\n| --- {'| --- ' * (len(columns) + 1)}|\n"
    return f"{tally_claims(decisions)}\n\n{head}" + "\n".join(rows)


def _machines(decisions: list[Decision]) -> str:
    deciding = (name for decision in decisions for name, _ in decision.deciding)
    return ", ".join(dict.fromkeys(name.partition("/")[0] for name in deciding))


def readme() -> str:
    """The README with its scorecard as the records have it."""
    return _between_marks(ROOT / "README.md", "scorecard", scorecard())


def glossary() -> str:
    """The glossary with a line for each measure that says when it misleads."""
    rows = [f"| `{name}` | {_cell(METRICS[name].title)} | {_cell(text)} |" for name, text in MISLEADS.items()]
    head = "| measure | what | when it misleads |\n| --- | --- | --- |\n"
    return _between_marks(DOCS / "glossary.md", "measures", head + "\n".join(rows))


def published() -> str:
    """What others published."""
    figures = titled(published_figures())
    rows = ["| " + " | ".join(map(_cell, row)) + " |" for row in figures.itertuples(index=False)]
    return (
        "# Published figures\n\nMade from `harness/reporting/published.csv`. A report sets these beside what was "
        "measured on the same data set, a row each (tables `published_modes`, `published_quality`), and never averages "
        "them with anything: WGAN-GP on CIFAR-10 has FIDs from 22 to 56 under one name, for networks, steps, n and "
        "protocol differ. "
        "A distance by `mnistnet` or `celebanet` can't be held against one by Inception.\n\n"
        f"| {' | '.join(figures.columns)} |\n|{' --- |' * len(figures.columns)}\n" + "\n".join(rows) + "\n"
    )


def _between_marks(page: Path, name: str, made: str) -> str:
    """A page written by hand, but for the part between two marks."""
    before, start, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not end:
        raise ValueError(f"{page.name} lacks the marks of its {name}")
    return f"{before}{start}{made}\n{end}{after}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {
    "cli.md": command_line,
    "glossary.md": glossary,
    "metrics.md": metrics,
    "mutants.md": mutants,
    "published.md": published,
}


def main(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")
    (folder.parent if folder == DOCS else folder).joinpath("README.md").write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
