"""Memorisation where the answer is known: plants of copies, and what each measure can't see."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.evaluation.features import Features
from harness.evaluation.memorisation import Cells, Nearest, Reach, data_copying, distance_ratio, nearest
from harness.evaluation.metrics import measure_quality


def normal(n: int, seed: int, dimension: int = 8) -> Tensor:
    return torch.randn(n, dimension, generator=torch.Generator().manual_seed(seed))


TRAINING, HELD_OUT, NEW = normal(4000, 0), normal(1000, 1), normal(1000, 2)


def planted(share: float, noise: float = 0.0) -> Tensor:
    """New points, of which some are training points with a little noise."""
    count = int(share * len(NEW))
    near = TRAINING[:count] + noise * normal(count, 3)
    return torch.cat([near, NEW[count:]])


def c_t(generated: Tensor) -> float:
    near, others = nearest(generated, TRAINING), nearest(HELD_OUT, TRAINING)
    found = data_copying(generated, HELD_OUT, near, others, Cells.of(TRAINING))
    assert found is not None
    return found


@given(st.integers(1, 300), st.integers(2, 300), st.integers(1, 70), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_nearest_is_found_and_its_distance_is_exact(n: int, m: int, dimension: int, seed: int) -> None:
    rows, others = normal(n, seed, dimension), normal(m, seed + 1, dimension)
    found = nearest(rows, others)
    exact = (rows[:, None].double() - others[None].double()).norm(dim=2)
    assert torch.allclose(found.distances, exact.amin(1), atol=1e-3)
    assert torch.allclose(exact[torch.arange(n), found.places], found.distances)


def test_a_row_that_is_one_of_the_others_isnt_its_own_nearest() -> None:
    places = torch.arange(len(TRAINING))
    assert float(nearest(TRAINING, TRAINING).distances.max()) == 0
    own = nearest(TRAINING, TRAINING, own=places)
    assert float(own.distances.min()) > 0
    assert not bool((own.places == places).any())
    with pytest.raises(ValueError, match="can't be found among 1"):
        nearest(TRAINING[:1], TRAINING[:1], own=places[:1])


def test_new_points_are_as_far_off_as_training_points() -> None:
    near = nearest(NEW, TRAINING)
    assert distance_ratio(near, TRAINING) == pytest.approx(1, abs=0.05)
    assert c_t(NEW) == pytest.approx(0, abs=2)
    reach = Reach.of(near, TRAINING)
    assert reach.copies < 0.02
    assert reach.authentic == pytest.approx(0.6, abs=0.15)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_copies_are_counted(share: float) -> None:
    """The saboteur: what was memorised, among what wasn't. The distance ratio, a median, sees no share below half."""
    clean, dirty = (Reach.of(nearest(points, TRAINING), TRAINING) for points in (NEW, planted(share)))
    assert dirty.copies - clean.copies == pytest.approx(share, abs=0.01)
    assert clean.authentic - dirty.authentic == pytest.approx(share * clean.authentic, abs=0.02)
    if share >= 0.1:
        assert c_t(planted(share)) < c_t(NEW) - 0.5
    ratio = distance_ratio(nearest(planted(share), TRAINING), TRAINING)
    assert ratio == 0 if share >= 0.5 else ratio > 0.9


def test_half_of_copies_are_far_below_what_c_t_calls_so() -> None:
    assert c_t(planted(0.5)) < -3
    assert c_t(10 + NEW) > 3, "samples that lie far off are told, too"


def test_near_copies_count_while_they_are_much_nearer_than_training_points_to_each_other() -> None:
    near, far = (Reach.of(nearest(planted(0.1, noise), TRAINING), TRAINING).copies for noise in (0.05, 1.0))
    assert near == pytest.approx(0.1, abs=0.02)
    assert far < 0.02, "a point moved as far as its neighbours lie is a new one: nothing here sees it"


def test_a_training_point_that_is_there_twice_hides_no_copy() -> None:
    twice = torch.cat([TRAINING, TRAINING[:100]])
    close = TRAINING[:100] + 1e-3 * normal(100, 5)
    assert Reach.of(nearest(close, twice), twice).copies == 1
    assert Reach.of(nearest(TRAINING[:100], twice), twice).authentic == 0


def test_too_few_in_every_cell_give_no_c_t() -> None:
    few = Nearest(torch.ones(5), torch.zeros(5, dtype=torch.int64))
    assert data_copying(NEW[:5], HELD_OUT[:5], few, few, Cells.of(TRAINING)) is None
    assert len(Cells.of(TRAINING[:30]).centres) == 1, "few training points make one cell"


def features(rows: Tensor) -> Features:
    return Features(rows, torch.zeros(len(rows), 0))


def test_the_gap_of_fids_opens_where_samples_look_more_like_training_images() -> None:
    """A training set of few points, which a generator knows by heart."""
    few = normal(100, 6)
    learned = few[torch.randint(0, 100, (1000,), generator=torch.Generator().manual_seed(7))]

    def gap(generated: Tensor) -> float:
        found = measure_quality(
            features(generated), features(few), features(few), (), digits=False, held_out=features(HELD_OUT)
        )
        (value,) = [v.value for v in found if v.metric.name == "fid_gap"]
        return value

    assert gap(learned) > 0.3
    assert gap(NEW) < gap(learned) / 3


def test_held_out_images_that_are_training_images_are_refused() -> None:
    with pytest.raises(ValueError, match="1000 of 1000 held-out images are training images: hold out others"):
        measure_quality(
            features(NEW), features(HELD_OUT), features(HELD_OUT), (), digits=False, held_out=features(HELD_OUT)
        )


def test_without_held_out_images_what_needs_them_is_left_out() -> None:
    found = measure_quality(features(NEW), features(HELD_OUT), features(TRAINING), (), digits=False)
    names = {value.metric.name for value in found}
    assert {"nn_distance_ratio", "copies", "authenticity"} <= names
    assert not {"c_t", "fid_gap", "inception_score"} & names
