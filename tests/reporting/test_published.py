"""Published figures: each with its source and protocol, shown where the same data set was measured, never mixed."""

from __future__ import annotations

import pandas as pd

from harness.records.metrics import METRICS
from harness.records.record import Record
from harness.reporting.published import (
    HERE,
    PUBLISHED_TABLES,
    published_figures,
    published_modes_table,
    published_quality_table,
)
from tests.records.test_record import record


def counted(data: str, value: float, seed: int = 0, n: int = 2500, metric: str = "modes_captured") -> Record:
    return record(suite="modes", reference="mine", metric=metric, value=value, data=data, seed=seed, n=n, epochs=20.0)


def test_every_figure_has_its_source_and_protocol_and_is_of_a_metric() -> None:
    figures = published_figures()
    said = figures[["data set", "model", "source", "protocol"]]
    assert not (said == "").any().any()
    assert not said.duplicated().any()
    metrics = figures.columns[4:]
    assert {*metrics} <= METRICS.keys()
    assert (figures[metrics] != "").any(axis=1).all(), "a row without a figure says nothing"


def test_one_name_has_many_fids() -> None:
    """The reason why the protocol stands beside each."""
    figures = published_figures()
    same = figures[(figures["data set"] == "CIFAR-10") & (figures["model"] == "WGAN-GP")]
    values = [float(value.split()[0].strip(",")) for value in same["fid"]]
    assert min(values) < 23
    assert max(values) > 55


def test_what_was_measured_stands_below_what_was_published_and_is_in_no_mean_of_it() -> None:
    table = published_modes_table([counted("5×5 Gaussian grid", 25), counted("5×5 Gaussian grid", 23, seed=1)], [])
    assert set(table["data set"]) == {"5×5 Gaussian grid"}
    theirs, ours = table[table["source"] != HERE], table[table["source"] == HERE]
    assert "24.8 ± 0.2" in theirs["modes hit"].tolist()
    assert pd.Series(ours["modes hit"]).tolist() == ["24 (23 to 25)"]
    assert ours["protocol"].tolist() == ["2,500 samples; seeds: 2; epochs: 20"]
    assert tuple(table.columns[:3]) == PUBLISHED_TABLES[0].columns
    assert theirs.equals(published_modes_table([counted("5×5 Gaussian grid", 1)], []).iloc[:-1][theirs.columns])


def test_another_number_of_samples_is_another_row() -> None:
    table = published_modes_table([counted("ring of 8 Gaussians", 8), counted("ring of 8 Gaussians", 8, n=100)], [])
    assert table[table["source"] == HERE]["protocol"].str.split(";").str[0].tolist() == ["2,500 samples", "100 samples"]


def test_what_nobody_published_is_left_out() -> None:
    assert published_modes_table([counted("3×3 Gaussian grid", 9)], []).empty
    assert published_quality_table([], []).empty


def test_only_what_inception_saw_stands_beside_fids_of_inception() -> None:
    def looked(extractor: str, data: str) -> Record:
        return record(suite="quality", metric="fid", value=9.0, data=data, protocol={"extractor": f"{extractor} 0123"})

    assert published_quality_table([looked("mnistnet", "MNIST")], []).empty
    table = published_quality_table([looked("inception", "CelebA, 20,000 of 202,599")], [])
    ours = table[table["source"] == HERE]
    assert ours["data set"].tolist() == ["CelebA, 20,000 of 202,599"], "a part under its own name"
    assert "30.0 ± 1.0" in table["FID"].tolist()
    assert "modes hit" not in table
