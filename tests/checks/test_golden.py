"""Kept generators: what sampling needs is kept, figures come out again, and a change of measuring is noticed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from harness.checks.golden import held_against, keep_golden, measure
from harness.evaluation.kept_generator import FACTS, NETWORKS, GoldenFacts, golden_folders, read_golden
from harness.files.tensors import read_tensors
from harness.records.metrics import FID, MODES_CAPTURED, MetricValue
from harness.training.networks import drawn_networks
from harness.training.sampler import Sampler
from reference import get

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


def sampler(spec: str, seed: int = 3) -> Sampler:
    reference = get(spec)
    return Sampler(reference, drawn_networks(reference, seed, CPU), CPU, seed)


def facts(spec: str) -> GoldenFacts:
    return GoldenFacts(spec, 3, 100, "MNIST", "mnist-train-0", {"device": "a card"}, {})


@pytest.mark.parametrize(("spec", "figure"), [("idl-gan-grid", "modes_captured"), ("idl-gan-mnist", "fid")])
def test_a_kept_generator_gives_its_figures_again(spec: str, figure: str, tmp_path: Path) -> None:
    target = tmp_path / "machine" / "generators" / "one"
    keep_golden(sampler(spec), facts(spec), target)
    assert golden_folders(tmp_path) == [target]
    assert {name.split("/")[1] for name in read_tensors(target / NETWORKS)} == {"generator"}, "no discriminator"
    golden = read_golden(target)
    assert (golden.name, golden.facts.steps, golden.facts.environment["device"]) == ("one", 100, "a card")
    values, samples, extractor = measure(golden.sampler)
    assert figure in golden.facts.figures
    held = held_against(golden, values)
    assert {value.found.value == pytest.approx(value.kept, rel=1e-6, abs=1e-6) for value in held} == {True}
    assert all(value.same for value in held)
    assert len(samples) == (10_000 if spec == "idl-gan-grid" else 1000)
    assert extractor == golden.facts.extractor == ("" if spec == "idl-gan-grid" else "mnistnet 9587de94d39b")


def test_a_change_of_measuring_shows(tmp_path: Path) -> None:
    keep_golden(sampler("idl-gan-grid"), facts("idl-gan-grid"), tmp_path / "one")
    golden = read_golden(tmp_path / "one")
    kept = dataclasses.replace(golden, facts=dataclasses.replace(golden.facts, figures={"fid": 2.0}))
    for value, same in ((2.0, True), (2.009, True), (2.02, False), (1.98, False)):
        assert [v.same for v in held_against(kept, [MetricValue(FID, value)])] == [same]
    counted = dataclasses.replace(golden, facts=dataclasses.replace(golden.facts, figures={"modes_captured": 2.0}))
    assert not held_against(counted, [MetricValue(MODES_CAPTURED, 3.0)])[0].same, "a mode more or less is no rounding"
    with pytest.raises(ValueError, match="fid was kept and isn't measured any more"):
        held_against(kept, [MetricValue(MODES_CAPTURED, 2.0)])


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    keep_golden(sampler("idl-gan-grid"), facts("idl-gan-grid"), tmp_path / "one")
    whole = json.loads((tmp_path / "one" / FACTS).read_text())
    for change in ({"reference": "idl-gan-mnist"}, {"reference": "nobody"}, {"strange": 1}):
        (tmp_path / "one" / FACTS).write_text(json.dumps(whole | change))
        with pytest.raises(ValueError, match=r"holds no generator that fits|unknown reference 'nobody'"):
            read_golden(tmp_path / "one")
    (tmp_path / "one" / FACTS).write_text(json.dumps(whole))
    (tmp_path / "one" / NETWORKS).write_bytes(b"cut")
    with pytest.raises(ValueError, match="holds no generator that fits"):
        read_golden(tmp_path / "one")
    with pytest.raises(ValueError, match="neither images nor points of the grid"):
        measure(sampler("style-transfer"))


def test_the_committed_generators_are_read_and_small() -> None:
    folders = golden_folders(ROOT / "reports" / "measured")
    assert len(folders) >= 4
    assert sum((folder / NETWORKS).stat().st_size for folder in folders) <= 25e6
    for folder in folders:
        golden = read_golden(folder)
        assert folder.name == f"{golden.facts.reference}-seed{golden.facts.seed}"
        assert golden.facts.figures
