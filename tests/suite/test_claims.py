"""Every claim of every card names what some suite measures, under conditions that `documented` meets."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import reference
from harness.memory.record import documented_batch_sizes
from harness.records import metrics as m
from harness.records.metrics import Metric, find_metric
from harness.records.profiles import get_profile
from harness.reporting.scorecard import silent_claims, speaks_of
from harness.suite.session import HAVING
from reference import Card, Claim, at_most
from tests.records.test_record import record
from tests.toys import CARD as TOY

ROOT = Path(__file__).parents[2]
DOCUMENTED = get_profile("documented")
CLAIMS = [
    pytest.param(spec, claim, id=f"{spec}, {claim.identifier}")
    for spec in reference.specs()
    if not spec.startswith(("toy-", "my-"))
    for claim in reference.get(spec).card.claims
    if claim.metric
]
# The file of suites that measures it, how many samples `documented` takes, what a card must have.
FROM: dict[Metric, tuple[str, int | None, str | None]] = {
    **dict.fromkeys(
        (m.FID, m.CLASS_KL, m.CLASS_COVERAGE, m.SHARE_OF_0_3_8), ("quality", DOCUMENTED.quality_samples, "images")
    ),
    **dict.fromkeys((m.MODES_WITH_MASS, m.SPREAD_RATIO), ("modes", DOCUMENTED.mode_samples, None)),
    m.LARGEST_STEP: ("latent", DOCUMENTED.interpolation_paths, "latent"),
    m.STYLE_SHARED: ("latent", DOCUMENTED.latent_samples, "classes"),
    m.REQUESTED_CLASS: ("latent", DOCUMENTED.latent_samples, "classes"),
    m.ENCODER_NEARER_OWN: ("latent", DOCUMENTED.latent_samples, "encoder"),
    m.ROUND_TRIP_NEARER_OWN: ("latent", DOCUMENTED.latent_samples, "encoder"),
    m.INPAINTING_ERROR: ("latent", DOCUMENTED.latent_samples, "erased"),
    m.INPAINTING_SPREAD: ("latent", DOCUMENTED.spread_samples, "erased"),
    m.TRANSLATION_ERROR: ("latent", DOCUMENTED.translation_pairs, "paired"),
    m.TRANSLATION_SPREAD: ("latent", DOCUMENTED.translation_pairs, "paired"),
    m.SEMANTIC_SHIFT: ("latent", DOCUMENTED.latent_samples, "faces"),
    **dict.fromkeys(
        (m.STEPS_PER_EPOCH, m.LAST_EPOCH_MEAN, m.GENERATOR_LOSS_ABOVE, m.TREND, m.LAST_OVER_FIRST),
        ("training", None, None),
    ),
    m.LAYER_MISMATCHES: ("shapes", None, None),
    m.PRINTED_TEXT: ("shapes", None, "a printed text"),
    **dict.fromkeys((m.DRIVER_MIB, m.EPOCH_TIME_RATIO, m.DOCUMENTED_RUN_MINUTES), ("memory", None, None)),
    m.DISK_SPEED_UP: ("loading", None, "a comparison of disks"),
}


@pytest.mark.parametrize(("spec", "claim"), CLAIMS)
def test_a_suite_measures_it_on_this_reference_as_the_claim_asks(spec: str, claim: Claim) -> None:
    card = reference.get(spec).card
    _, n, having = FROM[find_metric(claim.metric)]
    assert having is None or HAVING[having](card), "no such check runs on this reference"
    assert claim.n_at_least is None or (n is not None and n >= claim.n_at_least)
    assert claim.epochs is None or claim.epochs <= card.epochs, "`documented` trains for the document's epochs"
    assert DOCUMENTED.training_flops is None
    assert claim.batch_size in (None, *documented_batch_sizes(card))
    if claim.versus:
        assert reference.get(claim.versus).card.name == claim.versus


@pytest.mark.parametrize("metric", FROM, ids=lambda metric: metric.name)
def test_the_file_that_is_named_writes_it(metric: Metric) -> None:
    """By its constant, in the suite's file or in a module that this file imports from."""
    (constant,) = (name for name, value in vars(m).items() if value is metric)
    suite = ROOT / "suites" / f"test_{FROM[metric][0]}.py"
    modules = [suite, *_imported(suite)]
    assert any(constant in _names(path) for path in modules), f"{constant} isn't in {', '.join(map(str, modules))}"


def _imported(path: Path) -> list[Path]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness."):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = ROOT / f"{name.replace('.', '/')}.py"
                found += [file, *_of_evaluation(file)] if file.is_file() else []
    return found


def _of_evaluation(path: Path) -> list[Path]:
    return [path.with_name("metrics.py")] if path.name == "protocol.py" else []


def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }


def claimed(**changes: Any) -> Claim:
    facts: dict[str, Any] = {"metric": "fid", "condition": at_most(2)}
    return Claim("c", "p", "s", "d", **(facts | changes))


def test_a_claim_speaks_of_one_series() -> None:
    fid = claimed()
    assert speaks_of(fid, record(metric="fid", protocol={"extractor": "mnistnet"}))
    assert not speaks_of(fid, record(metric="fid", protocol={"statistics": "running"}))
    assert not speaks_of(fid, record(metric="kid"))
    running = claimed(where={"statistics": "running"})
    assert speaks_of(running, record(metric="fid", protocol={"statistics": "running"}))
    assert not speaks_of(running, record(metric="fid"))
    assert not speaks_of(claimed(batch_size=128), record(metric="fid", batch_size=64))
    assert speaks_of(claimed(batch_size=128), record(metric="fid", value=None, status="skipped", reason="no GPU"))


def test_a_claim_that_nobody_speaks_of_is_named() -> None:
    card = with_claim(claimed(where={"statistics": "running"}))
    cards = [("toy-grid", card)]
    assert silent_claims(cards, [record(metric="fid", value=1.0)]) == [
        "toy-grid, c: no record of fid, statistics running"
    ]
    assert silent_claims(cards, [record(metric="fid", value=None, status="skipped", reason="no extractor")]) == []


def with_claim(claim: Claim) -> Card:
    return dataclasses.replace(TOY, claims=(claim,))


def test_a_claim_of_nothing_says_what_stands_in_the_way() -> None:
    with pytest.raises(ValueError, match="the claim 'c' names no metric and no obstacle"):
        claimed(metric="")
    assert claimed(metric="", obstacle="judged by eye").obstacle
