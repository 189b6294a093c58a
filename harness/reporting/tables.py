"""Records, or cards, to tables. Each function returns a data frame whose cells are ready to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

import pandas as pd

from harness.records.record import Record
from harness.reporting.loading_tables import LOADING_TABLES
from harness.reporting.memory_tables import MEMORY_TABLES
from harness.reporting.scorecard import judge_all, spread
from reference import Card

Cards = Sequence[tuple[str, Card]]

_MODE_COLUMNS = {
    "modes_hq_9": "modes hit (of 9)",
    "modes_mass_9": "modes with mass (of 9)",
    "high_quality_share_9": "high quality share",
    "reverse_kl_9": "reverse KL (nats)",
    "spread_ratio_9": "spread / σ",
}
_QUALITY_COLUMNS = {
    "fid": "FID",
    "fid_inf": "FID, n → ∞",
    "kid": "KID",
    "is": "IS",
    "precision": "precision",
    "recall": "recall",
    "class_coverage": "classes covered",
    "class_kl": "KL to even classes (nats)",
    "share_of_0_3_8": "share of 0, 3, 8",
    "nearest_training_ratio": "distance to training images",
}
_VARIATIONS = {
    "again": "again",
    "fresh_process": "fresh process",
    "two_workers": "2 workers",
    "more_logging": "more logging",
    "killed_and_resumed": "killed, resumed",
    "other_seed": "other seed differs",
}


def determinism_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and numerics: for each variation `same`, or the first difference."""
    rows = []
    for (reference, numerics), group in _grouped(
        _of(records, "determinism"), lambda r: (r.reference, r.protocol.get("numerics", ""))
    ):
        first = group[0]
        row = {
            "reference": reference,
            "numerics": numerics,
            "data": first.data,
            "steps": first.protocol.get("steps", ""),
            "batch": first.batch_size,
            "threads": first.protocol.get("threads", ""),
        }
        for variation, title in _VARIATIONS.items():
            metric = "other_bits_other_seed" if variation == "other_seed" else f"same_bits_{variation}"
            row[title] = "; ".join(_yes_or_reason(r) for r in group if r.metric == metric)
        rows.append(row)
    return pd.DataFrame(rows)


def shapes_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per reference and network: parameters beside the document's, and the mismatches of every check."""
    documented = dict(cards)
    rows = []
    for (reference, role), group in _grouped(
        [r for r in _of(records, "shapes") if r.protocol.get("network")],
        lambda r: (r.reference, r.protocol["network"]),
    ):
        card = documented[reference].networks.get(role) if reference in documented else None
        row: dict[str, object] = {"reference": reference, "network": role}
        row["layers"] = len(card.layers) if card else ""
        row["parameters, documented"] = card.parameters if card else ""
        for metric, title in (
            (f"parameters_{role}", "parameters, measured"),
            (f"layer_mismatches_{role}", "wrong layer shapes"),
            (f"initial_value_mismatches_{role}", "wrong initial values"),
            (f"optimizer_mismatches_{role}", "wrong optimiser settings"),
            (f"printed_text_{role}", "printed text as documented"),
            (f"refusal_mismatches_{role}", "wrong inputs accepted"),
        ):
            row[title] = "; ".join(_plain(r) for r in group if r.metric == metric)
        row["batches"] = ", ".join(
            str(r.batch_size) for r in group if r.metric == f"layer_mismatches_{role}" and r.batch_size
        )
        rows.append(row)
    return pd.DataFrame(rows)


def modes_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per reference or calibration sampler: median and range over seeds of every mode metric."""
    order = {spec: place for place, (spec, _) in enumerate(cards)}
    rows = []
    for (reference,), group in _grouped(
        [r for r in _of(records, "modes") if "mode" not in r.protocol], lambda r: (r.reference,)
    ):
        seeds = sorted({r.seed for r in group if r.seed is not None})
        lengths = [r.epochs for r in group if r.epochs is not None]
        row: dict[str, object] = {
            "sampler": reference,
            "epochs": f"{lengths[0]:.3g}" if lengths else "–",
            "seeds": len(seeds),
            "samples each": group[0].n,
        }
        for metric, title in _MODE_COLUMNS.items():
            row[title] = spread([r.value for r in group if r.metric == metric and r.value is not None])
        rows.append(row)
    rows.sort(key=lambda row: order.get(str(row["sampler"]), -1))
    return pd.DataFrame(rows)


def mode_by_mode_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per sampler and seed, a column per mode: its share of all samples, and its spread against σ."""
    rows = []
    found = [r for r in _of(records, "modes") if "mode" in r.protocol]
    for (sampler, seed), group in _grouped(found, lambda r: (r.reference, str(r.seed))):
        row: dict[str, object] = {"sampler": sampler, "seed": seed}
        for record in group:
            if record.metric == "mode_share" and record.value is not None:
                row[record.protocol["mode"]] = f"{record.value:.1%}"
        for record in group:
            if record.metric == "mode_spread" and record.value is not None:
                row[record.protocol["mode"]] = f"{row[record.protocol['mode']]}, {record.value:.2f} σ"
        rows.append(row)
    return pd.DataFrame(rows)


def conduct_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference, a column per rule: kept, broken with how, or not applicable."""
    rows = []
    for (reference,), group in _grouped(_of(records, "conduct"), lambda r: (r.reference,)):
        kept = {r.protocol["rule"]: "kept" if r.value == 1 else f"BROKEN: {r.reason}" for r in group}
        rows.append({"reference": reference, **kept})
    return pd.DataFrame(rows).fillna("–")


def mutants_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per mutant: what is broken, which suite noticed first, what it said; controls have nothing to notice."""
    return pd.DataFrame(
        [
            {
                "mutant": r.protocol["mutant"],
                "applied to": r.reference,
                "what is wrong": r.protocol["what"],
                "noticed by": r.protocol["suite"],
                "as it should be": "yes" if r.value == 1 else "NO",
                "what it said": r.reason,
            }
            for r in _of(records, "mutants")
        ]
    )


def training_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """The documents' log lines beside the same steps of the runs, and the means over each run's last epoch."""
    found = [r for r in _of(records, "training") if r.status == "measured"]
    rows = []
    for spec, card in cards:
        mine = [r for r in found if r.reference == spec]
        if not mine:
            continue
        data = mine[0].data
        threads = ", ".join(dict.fromkeys(str(r.threads) for r in mine if r.threads is not None))
        for line in card.log_lines:
            for quantity, documented in line.values.items():
                values = [r.value for r in mine if r.metric == line.metric(quantity)]
                rows.append(
                    {
                        "reference": spec,
                        "where": f"epoch {line.epoch}, step {line.step}",
                        "quantity": quantity,
                        "documented": f"{documented:g}",
                        "measured": spread([v for v in values if v is not None]) or "not reached",
                        "threads": threads,
                        "measured on": data,
                    }
                )
        for metric in dict.fromkeys(r.metric for r in mine if r.metric.startswith("last_epoch_")):
            group = [r for r in mine if r.metric == metric]
            rows.append(
                {
                    "reference": spec,
                    "where": f"mean over the last {min(1.0, group[0].epochs or 0):.3g} of {group[0].epochs:.3g} epochs",
                    "quantity": metric.removeprefix("last_epoch_"),
                    "documented": "",
                    "measured": spread([r.value for r in group if r.value is not None]),
                    "threads": threads,
                    "measured on": data,
                }
            )
    return pd.DataFrame(rows)


def latent_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and metric of latents, labels and conditions: median and range over seeds."""
    rows = []
    for (reference, metric), group in _grouped(_of(records, "latent"), lambda r: (r.reference, r.metric)):
        lengths = sorted({r.epochs for r in group if r.epochs is not None})
        rows.append(
            {
                "reference": reference,
                "metric": metric,
                "measured": spread([r.value for r in group if r.value is not None]),
                "unit": group[0].unit,
                "better": group[0].better,
                "seeds": len({r.seed for r in group}),
                "epochs": ", ".join(f"{length:.3g}" for length in lengths),
                "measured on": group[0].data,
            }
        )
    return pd.DataFrame(rows)


def quality_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference, extractor, n and use of batch normalisation: median and range over seeds of every metric."""
    found = [r for r in _of(records, "quality") if "extractor" in r.protocol]
    rows = []
    for (reference, extractor, n, batch_norm), group in _grouped(
        found, lambda r: (r.reference, r.protocol["extractor"], str(r.n), r.protocol.get("batch norm", ""))
    ):
        lengths = sorted({r.epochs for r in group if r.epochs is not None})
        row: dict[str, object] = {
            "reference": reference,
            "measured on": group[0].data,
            "extractor": extractor.split()[0],
            "n": n,
            "batch norm": batch_norm,
            "epochs": ", ".join(f"{length:.3g}" for length in lengths),
            "seeds": len({r.seed for r in group}),
        }
        for value, title in _QUALITY_COLUMNS.items():
            row[title] = spread([r.value for r in group if _value_name(r) == value and r.value is not None])
        # A class is missing when it has less than a tenth of an even share, in the median over seeds.
        shares: dict[str, list[float]] = {}
        for record in group:
            if _value_name(record) == "class_share" and record.value is not None:
                shares.setdefault(record.protocol["class"], []).append(record.value)
        missing = [name for name, s in shares.items() if median(s) < 0.1 / len(shares)]
        short = all(len(name) < 4 for name in shares)
        row["missing"] = (" ".join(missing) or "–") if short else f"{len(missing)} of {len(shares)}"
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
                "expected": r.protocol.get("expected", ""),
                "measured on": r.data or r.protocol.get("on", "drawn numbers"),
            }
            for r in _of(records, "metrics")
        ]
    )


def scorecard_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """Every claim: documented, measured, verdict."""
    rows = []
    for judgement in judge_all(cards, records):
        claim = judgement.claim
        lengths = {r.epochs for r in judgement.records if r.epochs is not None}
        trained = f" after {', '.join(f'{e:.3g}' for e in sorted(lengths))} epochs" if lengths else ""
        where = "; ".join(
            dict.fromkeys(", ".join(filter(None, (r.data, r.device))) + trained for r in judgement.records)
        )
        count = len(judgement.values)
        over = f" over that of {claim.versus}" if claim.versus else ""
        verdict = judgement.verdict
        rows.append(
            {
                "reference": judgement.reference,
                "claim": claim.statement,
                "place": claim.place,
                "documented": claim.documented,
                "counts as reproduced when": f"{claim.metric}{over} {claim.condition}",
                "measured": spread(judgement.values) or "–",
                "measured on": where or "–",
                "verdict": verdict if verdict == "not measured" else f"{verdict} ({judgement.holding} of {count})",
                "why not": judgement.reason,
            }
        )
    return pd.DataFrame(rows)


def left_out_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Everything that was skipped or failed, with its reason."""
    return pd.DataFrame(
        [
            {"suite": r.suite, "reference": r.reference, "check": r.metric, "status": r.status, "reason": r.reason}
            for r in records
            if r.status in ("skipped", "failed")
        ]
    )


TABLES: Mapping[str, Callable[[Sequence[Record], Cards], pd.DataFrame]] = {
    "scorecard": scorecard_table,
    "determinism": determinism_table,
    "shapes": shapes_table,
    "modes": modes_table,
    "mode_by_mode": mode_by_mode_table,
    "quality": quality_table,
    "calibration": calibration_table,
    "latent": latent_table,
    "conduct": conduct_table,
    "mutants": mutants_table,
    "training": training_table,
    **MEMORY_TABLES,
    **LOADING_TABLES,
    "left_out": left_out_table,
}


def documented_tables(cards: Cards) -> dict[str, pd.DataFrame]:
    """What the documents print, and nothing else: from the cards alone."""
    systems = [card for _, card in cards]
    return {
        "claims": pd.DataFrame(
            {"reference": c.name, "place": claim.place, "claim": claim.statement, "documented": claim.documented}
            for c in systems
            for claim in c.claims
        ),
        "log_lines": pd.DataFrame(
            {"reference": c.name, "epoch": line.epoch, "step": line.step, **line.values}
            for c in systems
            for line in c.log_lines
        ),
        "memory": pd.DataFrame(
            {"reference": c.name, "batch size": figure.batch_size, "GPU memory, MB": figure.megabytes}
            for c in systems
            for figure in c.memory
        ),
        "durations": pd.DataFrame(
            {"reference": c.name, "hardware": d.hardware, "epochs": d.epochs, "minutes": d.minutes}
            for c in systems
            for d in c.durations
        ),
        "hyperparameters": pd.DataFrame(
            {
                "reference": c.name,
                "optimiser": c.optimizer.kind,
                "learning rate": c.optimizer.lr,
                "betas": ", ".join(map(str, c.optimizer.betas)),
                "weight decay": c.optimizer.weight_decay,
                "batch": c.batch_size,
                "last batch": "dropped" if c.drop_last else "used",
                "epochs": c.epochs,
                "others": ", ".join(f"{name} {value:g}" for name, value in c.hyperparameters.items()),
            }
            for c in systems
        ),
        "deviations": pd.DataFrame(
            {"reference": c.name, "number": d.number, "kind": d.kind, "deviation": d.statement}
            for c in systems
            for d in c.deviations
        ),
    }


def _value_name(record: Record) -> str:
    """`fid` of `fid_mnistnet_10k_running`."""
    return record.metric.removesuffix("_running").rsplit("_", 2)[0]


def _of(records: Iterable[Record], suite: str) -> list[Record]:
    return [r for r in records if r.suite == suite and r.status not in ("skipped", "failed")]


def _grouped(
    records: Iterable[Record], key: Callable[[Record], tuple[str, ...]]
) -> Iterable[tuple[tuple[str, ...], list[Record]]]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups.items()


def _yes_or_reason(record: Record) -> str:
    return "yes" if record.value == 1 else f"NO: {record.reason}"


def _plain(record: Record) -> str:
    if record.unit == "yes/no":
        return "yes" if record.value == 1 else "no"
    return f"{record.value:g}" if record.value is not None and record.value < 1e4 else f"{record.value:.0f}"
