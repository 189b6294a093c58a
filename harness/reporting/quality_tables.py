"""Tables of what a generator makes: modes, sample quality, latents, and how it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import pandas as pd

from harness.records.metrics import (
    AUTHENTICITY,
    BATCH_NORM,
    BEST,
    CLASS,
    CLASS_COVERAGE,
    CLASS_KL,
    CLASS_SHARE,
    COPIES,
    COVERAGE,
    DATA_COPYING,
    DENSITY,
    EPOCH,
    EXPECTED,
    EXTRACTOR,
    FID,
    FID_GAP,
    FID_INFINITE,
    GENERATOR_LOSS_ABOVE,
    HIGH_QUALITY,
    INCEPTION_SCORE,
    KID,
    LAST_EPOCH_MEAN,
    LOG_VALUE,
    LOOK_COVERAGE,
    LPIPS_DIVERSITY,
    MEASURED_ON,
    MODE,
    MODE_SHARE,
    MODE_SPREAD,
    MODES_CAPTURED,
    MODES_WITH_MASS,
    NN_DISTANCE_RATIO,
    NOTICED,
    PRECISION,
    QUANTITY,
    RECALL,
    REVERSE_KL,
    SHARE_OF_0_3_8,
    SPREAD_RATIO,
    STEP,
    STEPS,
    TRAINING,
    UNTRAINED,
    WHAT,
    Metric,
)
from harness.records.record import Record
from harness.reporting.table import Cards, Table, grouped, of_suite, spread, values_of

_MODES = (MODES_CAPTURED, MODES_WITH_MASS, HIGH_QUALITY, REVERSE_KL, SPREAD_RATIO)
_QUALITY = (
    FID,
    FID_INFINITE,
    KID,
    INCEPTION_SCORE,
    PRECISION,
    RECALL,
    DENSITY,
    COVERAGE,
    CLASS_COVERAGE,
    CLASS_KL,
    SHARE_OF_0_3_8,
    LPIPS_DIVERSITY,
)
_MEMORISATION = (NN_DISTANCE_RATIO, COPIES, AUTHENTICITY, DATA_COPYING, FID_GAP)


def modes_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per reference or calibration sampler: median and range over seeds of every mode metric.

    Where trainings were best before their end there is a row of that too.
    """
    order = {spec: place for place, (spec, _) in enumerate(cards)}
    rows = []
    for (reference, training), group in grouped(
        [r for r in of_suite(records, "modes") if MODE not in r.protocol],
        lambda r: (r.reference, r.protocol.get(TRAINING, "")),
    ):
        seeds = sorted({r.seed for r in group if r.seed is not None})
        lengths = sorted({r.epochs for r in group if r.epochs is not None})
        row: dict[str, object] = {
            "sampler": reference,
            "measured on": group[0].data or "drawn points",
            "epochs": _lengths(lengths, training),
            "seeds": len(seeds),
            "samples each": group[0].n,
        }
        for metric in _MODES:
            row[metric.title] = spread(values_of(group, metric))
        rows.append(row)
    rows.sort(key=lambda row: order.get(str(row["sampler"]), -1))
    return pd.DataFrame(rows)


def mode_by_mode_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per sampler and seed, a column per mode: its share of all samples, and its spread against σ."""
    rows = []
    found = [r for r in of_suite(records, "modes") if MODE in r.protocol and TRAINING not in r.protocol]
    for (sampler, seed), group in grouped(found, lambda r: (r.reference, str(r.seed))):
        row: dict[str, object] = {"sampler": sampler, "seed": seed}
        for record in group:
            if record.metric == MODE_SHARE.name and record.value is not None:
                row[record.protocol[MODE]] = f"{record.value:.1%}"
        for record in group:
            if record.metric == MODE_SPREAD.name and record.value is not None:
                row[record.protocol[MODE]] = f"{row[record.protocol[MODE]]}, {record.value:.2f} σ"
        rows.append(row)
    return pd.DataFrame(rows)


def quality_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference, extractor, n and use of batch normalisation: median and range over seeds of every metric.

    Before the first step of a training there are rows of their own.
    """
    rows = []
    for row, group in _looked_at(records, _QUALITY):
        # A class is missing when it has less than a tenth of an even share, in the median over seeds.
        shares: dict[str, list[float]] = {}
        for record in group:
            if record.metric == CLASS_SHARE.name and record.value is not None:
                shares.setdefault(record.protocol[CLASS], []).append(record.value)
        missing = [name for name, s in shares.items() if median(s) < 0.1 / len(shares)]
        short = all(len(name) < 4 for name in shares)
        row["missing"] = (" ".join(missing) or "–") if short else f"{len(missing)} of {len(shares)}"
        rows.append(row)
    return pd.DataFrame(rows)


def memorisation_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row as in `quality_table` where it was looked for copies."""
    rows = _looked_at(records, _MEMORISATION)
    return pd.DataFrame([row for row, group in rows if values_of(group, NN_DISTANCE_RATIO)])


def _looked_at(records: Sequence[Record], metrics: Sequence[Metric]) -> list[tuple[dict[str, object], list[Record]]]:
    """A row for each reference, extractor, n and use of batch normalisation, and the records that it is of."""
    measured = [*of_suite(records, "samples"), *of_suite(records, "quality")]
    found = [r for r in measured if EXTRACTOR in r.protocol]
    columns = [metric for metric in metrics if metric is not LPIPS_DIVERSITY or values_of(found, metric)]
    rows = []
    for (reference, extractor, n, batch_norm, training), group in grouped(
        found,
        lambda r: (
            r.reference,
            r.protocol[EXTRACTOR],
            str(r.n),
            r.protocol.get(BATCH_NORM, ""),
            r.protocol.get(TRAINING, ""),
        ),
    ):
        lengths = sorted({r.epochs for r in group if r.epochs is not None})
        row: dict[str, object] = {
            "reference": reference,
            "measured on": group[0].data,
            "extractor": extractor.split()[0],
            "n": n,
            "batch norm": batch_norm,
            "epochs": "before training" if training == UNTRAINED else _lengths(lengths, training),
            "seeds": len({r.seed for r in group}),
        }
        for metric in columns:
            row[metric.title] = spread(values_of(group, metric))
        rows.append((row, group))
    return rows


def _lengths(epochs: Sequence[float], training: str) -> str:
    """After how many epochs; `training` says that these are where each training was best."""
    return ("best: " if training == BEST else "") + (", ".join(f"{length:.3g}" for length in epochs) or "–")


def golden_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per kept generator: what it is worth, and what it was worth where that reads otherwise."""
    rows = []
    for (name,), group in grouped(of_suite(records, "golden"), lambda r: (r.reference.removeprefix("golden: "),)):
        looked = dict.fromkeys(r.protocol[EXTRACTOR] for r in group if EXTRACTOR in r.protocol)
        row: dict[str, object] = {"generator": name, "looked at by": ", ".join(looked) or "–", "n": group[0].n}
        for metric in (*_QUALITY, *_MEMORISATION, *_MODES):
            for r in group:
                if r.metric == metric.name and r.series == metric.name:
                    now, kept = f"{r.value:.4g}", f"{float(r.protocol[EXPECTED]):.4g}"
                    row[metric.title] = now if now == kept else f"{now}, was {kept}"
        rows.append(row)
    return pd.DataFrame(rows)


def calibration_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """What the metrics give where the answer is known."""
    return pd.DataFrame(
        [
            {
                "case": r.reference.removeprefix("calibration: "),
                "metric": r.metric,
                "measured": "" if r.value is None else f"{r.value:.4g}",
                "expected": r.protocol.get(EXPECTED, ""),
                "measured on": r.data or r.protocol.get(MEASURED_ON, "drawn numbers"),
            }
            for r in of_suite(records, "metrics")
        ]
    )


def latent_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and metric of latents, labels and conditions: median and range over seeds."""
    rows = []
    looked_at = [r for r in of_suite(records, "samples") if EXTRACTOR not in r.protocol]  # trained to be seen
    found = [*looked_at, *of_suite(records, "latent")]
    for (reference, name), group in grouped(found, lambda r: (r.reference, r.series)):
        lengths = sorted({r.epochs for r in group if r.epochs is not None})
        rows.append(
            {
                "reference": reference,
                "metric": name,
                "measured": spread([r.value for r in group if r.value is not None]),
                "unit": group[0].unit,
                "better": group[0].better,
                "seeds": len({r.seed for r in group}),
                "epochs": ", ".join(f"{length:.3g}" for length in lengths),
                "measured on": group[0].data,
            }
        )
    return pd.DataFrame(rows)


def training_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """The documents' log lines beside the same steps of the runs, and the means over each run's last epoch."""
    found = [r for r in of_suite(records, "training") if r.status == "measured"]
    rows = []
    for spec, card in cards:
        mine = [r for r in found if r.reference == spec]
        if not mine:
            continue
        data = mine[0].data
        threads = ", ".join(dict.fromkeys(str(r.threads) for r in mine if r.threads is not None))
        for line in card.log_lines:
            for quantity, documented in line.values.items():
                where = {QUANTITY: quantity, EPOCH: str(line.epoch), STEP: str(line.step)}
                values = values_of([r for r in mine if where.items() <= r.protocol.items()], LOG_VALUE)
                rows.append(
                    {
                        "reference": spec,
                        "where": f"epoch {line.epoch}, step {line.step}",
                        "quantity": quantity,
                        "documented": f"{documented:g}",
                        "measured": spread(values) or "not reached",
                        "threads": threads,
                        "measured on": data,
                    }
                )
        means = [r for r in mine if r.metric in (LAST_EPOCH_MEAN.name, GENERATOR_LOSS_ABOVE.name)]
        for (quantity,), group in grouped(means, lambda r: (r.protocol.get(QUANTITY, GENERATOR_LOSS_ABOVE.title),)):
            rows.append(
                {
                    "reference": spec,
                    "where": f"mean over the last {min(1.0, group[0].epochs or 0):.3g} of {group[0].epochs:.3g} epochs",
                    "quantity": quantity,
                    "documented": "",
                    "measured": spread([r.value for r in group if r.value is not None]),
                    "threads": threads,
                    "measured on": data,
                }
            )
    return pd.DataFrame(rows)


def watchdog_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per training that was looked at: how much of the data it covered, best and last, and what was wrong."""
    rows = []
    there = [*of_suite(records, "samples"), *of_suite(records, "training")]
    found = [r for r in there if r.metric in (NOTICED.name, LOOK_COVERAGE.name)]
    for (reference, seed, _suite), group in grouped(found, lambda r: (r.reference, str(r.seed), r.suite)):
        (noticed,) = [r for r in group if r.metric == NOTICED.name]
        covered = {r.protocol.get(TRAINING, ""): r for r in group if r.metric == LOOK_COVERAGE.name}
        row: dict[str, object] = {
            "reference": reference,
            "seed": seed,
            "measured on": noticed.data,
            "steps": f"{int(noticed.protocol[STEPS]):,}",
            "looks": noticed.n,
        }
        best = covered.get(BEST)
        row["covered at best"] = "" if best is None else f"{best.value:.2f}, step {int(best.protocol[STEP]):,}"
        row["at the end"] = f"{covered[''].value:.2f}" if "" in covered else ""
        row[NOTICED.title] = noticed.protocol[WHAT] or "–"
        rows.append(row)
    return pd.DataFrame(rows)


QUALITY_TABLES = (
    Table("modes", "Mode coverage", ("sampler", "measured on", "epochs", "seeds"), modes_table),
    Table(
        "mode_by_mode",
        "Mode by mode: share of all samples, and spread against σ",
        ("sampler", "seed"),
        mode_by_mode_table,
        suites=("modes",),
    ),
    Table(
        "quality",
        "Sample quality",
        ("reference", "measured on", "extractor", "n"),
        quality_table,
        suites=("quality", "samples"),
    ),
    Table(
        "memorisation",
        "Memorisation: do samples come nearer to training images than others of the same kind do?",
        ("reference", "measured on", "extractor", "n"),
        memorisation_table,
        suites=("quality", "samples"),
    ),
    Table(
        "golden",
        "Golden generators: trained ones that are kept, measured again here",
        ("generator", "looked at by", "n"),
        golden_table,
    ),
    Table(
        "calibration",
        "The metrics themselves, where the answer is known",
        ("case", "metric", "measured", "expected"),
        calibration_table,
        suites=("metrics",),
    ),
    Table(
        "latent",
        "Latents, labels and conditions",
        ("reference", "metric", "measured", "unit"),
        latent_table,
        suites=("latent", "samples"),
    ),
    Table("training", "Training logs beside the documents'", ("reference", "where", "quantity"), training_table),
    Table(
        "watchdog",
        "Watchdog: collapse and divergence, noticed while training",
        ("reference", "seed", "measured on"),
        watchdog_table,
        suites=("training", "samples"),
    ),
)
