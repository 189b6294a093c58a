"""The vocabulary holds together: names, units, keys; and nobody can write what isn't in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.records import metrics
from harness.records.metrics import FID, METRICS, Metric, find_metric, series


def test_every_metric_is_entered_under_its_name_and_has_a_title() -> None:
    assert len(METRICS) > 70
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title
        assert metric.better in ("higher", "lower", "equal", "none")
        assert not set(name) & set(" @[],/"), "names stand in patterns, files and series"


def test_headline_metrics_have_a_direction() -> None:
    headline = {metric.name for metric in METRICS.values() if metric.headline}
    assert headline == {
        "fid",
        "kid",
        "precision",
        "recall",
        "class_kl_to_uniform",
        "modes_with_mass",
        "high_quality_fraction",
    }
    assert all(METRICS[name].better in ("higher", "lower") for name in headline)


def test_what_tells_series_apart_is_a_key_that_is_declared() -> None:
    declared = {value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)}
    for metric in METRICS.values():
        assert set(metric.by) <= declared, metric.name


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="two metrics are called 'fid'"):
        Metric("fid", "", "lower", "another FID")
    assert METRICS["fid"] is FID


@pytest.mark.parametrize(
    ("name", "said"),
    [("fidd", "did you mean fid"), ("modes_mass_9", "did you mean modes_with_mass"), ("zzzz", "there are: ")],
)
def test_a_mistyped_metric_is_no_metric_and_the_message_says_what_is_close(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^no metric is called '{name}'; .*{said}"):
        find_metric(name)
    assert find_metric("fid") is FID


def test_a_series_names_what_tells_it_apart_and_nothing_else() -> None:
    assert series("fid", {"extractor": "mnistnet", "data": "x"}) == "fid"
    assert series("fid", {"statistics": "running"}) == "fid [statistics running]"
    assert series("class_share", {"class": "3", "training": "none"}) == "class_share [class 3; training none]"
    assert series("somebody's own", {"class": "3"}) == "somebody's own"


def test_keys_of_protocols_are_declared_once() -> None:
    """Whoever reads one by a text of its own will read another one some day."""
    root = Path(__file__).parents[2]
    by_hand = re.compile(r"""protocol(?:\.get\(|\[)["']""")
    files = [*(root / "harness").rglob("*.py"), *(root / "suites").glob("*.py")]
    assert len(files) > 100
    assert [str(file) for file in files if by_hand.search(file.read_text(encoding="utf-8"))] == []
    values = [value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)]
    assert len(values) == len(set(values))
