from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import reference
from harness.data import Dataset, open_dataset
from harness.latents.modes import class_numbers, make_sample_grid, modes
from harness.latents.options import SampleOptions
from harness.latents.probe import LinearProbe, labelled_digits
from harness.records.metrics import REQUESTED_CLASS, series
from harness.training.sampler import Sampler

CPU = torch.device("cpu")


def sampler(spec: str) -> Sampler:
    torch.manual_seed(1)
    chosen = reference.get(spec)
    return Sampler(chosen, chosen.networks(), CPU, 0)


def no_data() -> Dataset:
    raise AssertionError("this grid needs no data")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mlp-gan-mnist", ["random", "interpolate", "arithmetic", "semantic"]),
        ("idl-cond-wgan-gp-mnist", ["random", "interpolate", "arithmetic", "semantic", "conditional"]),
        ("idl-ex3-encoder-wgan-gp-mnist", ["random", "interpolate", "arithmetic", "semantic", "roundtrip"]),
        ("idl-ex4-inpainting-unet-mnist", ["random", "inpaint"]),
        ("idl-ex5-inpainting-unet-latent-mnist", ["random", "interpolate", "arithmetic", "semantic", "inpaint"]),
        ("style-transfer@size=16", ["random"]),
    ],
)
def test_every_reference_has_the_sheets_that_fit_it(spec: str, expected: list[str]) -> None:
    one = sampler(spec)
    assert modes(one) == expected
    with pytest.raises(ValueError, match=rf"sampling mode '\w+': {one.reference.card.name} has {', '.join(expected)}"):
        make_sample_grid(
            one, SampleOptions("run", mode="roundtrip" if "roundtrip" not in expected else "inpaint"), no_data
        )
    with pytest.raises(ValueError, match="unknown sampling mode 'collage'"):
        SampleOptions("run", mode="collage")


def test_interpolation_goes_between_the_documents_vectors() -> None:
    one = sampler("mlp-gan-mnist")
    ten = one.latents(10)
    grid = make_sample_grid(one, SampleOptions("run", mode="interpolate"), no_data)
    assert grid.latents is not None
    assert grid.columns == len(grid.images) == 10
    assert np.allclose(grid.latents[[0, -1]], ten[[2, 9]])
    assert torch.equal(grid.images, one.at(grid.latents))
    middle = make_sample_grid(
        one, SampleOptions("run", mode="interpolate", interpolation="midpoints", pick="4,5"), no_data
    ).latents
    assert middle is not None
    assert np.allclose(middle[0], ten[4] / 16 + ten[5] * 15 / 16)
    with pytest.raises(ValueError, match="picked as 2,9, not '1,2,3'"):
        make_sample_grid(one, SampleOptions("run", mode="interpolate", pick="1,2,3"), no_data)
    with pytest.raises(ValueError, match="picked by number, as 2,9, not 'a,b'"):
        make_sample_grid(one, SampleOptions("run", mode="interpolate", pick="a,b"), no_data)
    with pytest.raises(ValueError, match="no vector 12: 10 are there"):
        make_sample_grid(one, SampleOptions("run", mode="interpolate", pick="2,12"), no_data)


def test_arithmetic_is_as_written_unless_meant() -> None:
    one = sampler("mlp-gan-mnist")
    ten = one.latents(10)
    centre = ten[[0, 6, 8]].mean(0) - ten[[1, 2, 4]].mean(0) + ten[[3, 4, 6]].mean(0)
    written = make_sample_grid(one, SampleOptions("run", mode="arithmetic", count=400), no_data).latents
    meant = make_sample_grid(one, SampleOptions("run", mode="arithmetic", count=400, literal=False), no_data).latents
    assert written is not None
    assert meant is not None
    assert np.mean(written - centre) == pytest.approx(-0.1, abs=0.005)
    assert np.mean(meant - centre) == pytest.approx(0, abs=0.005)


def test_vectors_of_an_earlier_call_are_used(tmp_path: Path) -> None:
    one = sampler("mlp-gan-mnist")
    vectors = np.random.default_rng(5).normal(size=(3, 64))
    np.savetxt(tmp_path / "vec.txt", vectors)
    grid = make_sample_grid(one, SampleOptions("run", mode="random", latents=tmp_path / "vec.txt"), no_data)
    assert torch.equal(grid.images, one.at(vectors))


def test_semantic_vectors_come_from_labels(tmp_path: Path) -> None:
    one = sampler("mlp-gan-mnist")
    labels = np.arange(8) < 3
    (tmp_path / "labels.txt").write_text(" ".join(str(int(label)) for label in labels))
    grid = make_sample_grid(
        one, SampleOptions("run", mode="semantic", count=8, labels=tmp_path / "labels.txt"), no_data
    )
    latents = one.latents(8)
    vector = latents[:3].mean(0) - latents[3:].mean(0)
    assert grid.vector is not None
    assert grid.latents is not None
    assert np.allclose(grid.vector, vector)
    assert np.array_equal(grid.latents, latents)
    assert torch.equal(grid.images[2::3], one.at(latents + vector))
    assert torch.equal(grid.images[::3], one.at(latents - vector))
    assert grid.numbers["labelled"] == 3
    literal = SampleOptions("run", mode="semantic", count=8, labels=tmp_path / "labels.txt", literal=True)
    written = make_sample_grid(one, literal, no_data)
    assert written.numbers["length"] == 0
    assert torch.equal(written.images[2::3], written.images[1::3])
    with pytest.raises(ValueError, match=r"labels\.txt must hold 9 labels of 0 or 1, one per sample, and holds 8"):
        make_sample_grid(one, SampleOptions("run", mode="semantic", count=9, labels=tmp_path / "labels.txt"), no_data)
    with pytest.raises(ValueError, match="takes --labels FILE"):
        make_sample_grid(one, SampleOptions("run", mode="semantic", count=9), no_data)


def test_an_attribute_labels_and_judges() -> None:
    """A generator whose first latent value decides how bright its images are; the probe knows bright from dark."""
    one = sampler("mlp-gan-mnist")
    with torch.no_grad():
        generator = one.networks["generator"]
        for parameter in generator.parameters():
            parameter.zero_()
        generator[0].weight[0, 0] = generator[2].weight[0, 0] = 1  # type: ignore[index]
        generator[4].weight[:, 0] = 1  # type: ignore[index]
    bright = torch.linspace(-1, 1, 400)[torch.randperm(400, generator=torch.Generator().manual_seed(0))]
    from harness.latents.probe import Labelled

    probe = LinearProbe(Labelled(bright[:, None].expand(400, 784), (bright > 0).long().numpy(), "tones", True, "t"))
    grid = make_sample_grid(
        one, SampleOptions("run", mode="semantic", count=200, attribute="bright"), no_data, lambda _: probe
    )
    assert grid.numbers["shift"] > 0.3
    assert grid.numbers["probe_accuracy"] > 0.95


def test_the_conditional_grid_has_a_latent_per_row_and_a_class_per_column() -> None:
    one = sampler("idl-cond-wgan-gp-mnist")
    data = open_dataset(one.reference.card, None)
    grid = make_sample_grid(one, SampleOptions("run", mode="conditional", count=3), lambda: data)
    assert set(grid.numbers) == {
        "requested_class_share",
        "probe_accuracy",
        "style_shared [trait stroke_width]",
        "style_shared [trait slant]",
    }
    assert grid.columns == 10
    assert grid.latents is not None
    alone = one.at(grid.latents[1:2], torch.tensor([7]))
    assert torch.allclose(grid.images[17], alone[0], atol=1e-6)


def test_a_grid_of_real_digits_is_what_was_requested_and_shares_no_style() -> None:
    card = dataclasses.replace(reference.get("idl-cond-wgan-gp-mnist").card, data_range=(-1.0, 1.0))
    digits = labelled_digits(open_dataset(card, None), 1500)
    by_class = [digits.images[torch.from_numpy(np.flatnonzero(digits.labels == k)[:60])] for k in range(10)]
    grid = torch.stack(by_class, dim=1).flatten(0, 1)
    found = class_numbers(grid, 10, (-1, 1), LinearProbe(digits))
    numbers = {series(value.metric.name, value.protocol): value.value for value in found}
    assert numbers["requested_class_share"] > 0.9
    assert abs(numbers["style_shared [trait slant]"]) < 0.1
    leaning = torch.stack([torch.roll(image, int(row) % 3, -1) for row, image in enumerate(grid)])
    (share, *_) = class_numbers(leaning.flip(0), 10, (-1, 1), LinearProbe(digits))
    assert share.metric is REQUESTED_CLASS
    assert share.value < 0.5


def test_round_trips_are_what_they_say() -> None:
    one = sampler("idl-ex3-encoder-wgan-gp-mnist")
    grid = make_sample_grid(one, SampleOptions("run", mode="roundtrip", count=4), no_data)
    latents = one.latents(4)
    first = one.at(latents)
    second = one.at(one.encoded(first))
    assert torch.equal(grid.images, torch.stack([first, second, one.at(one.encoded(second))], 1).flatten(0, 1))
    assert 0 <= grid.numbers["nearer_own_latent_after_1"] <= 1


@pytest.mark.parametrize("spec", ["idl-ex4-inpainting-unet-mnist", "idl-ex5-inpainting-unet-latent-mnist"])
def test_inpainting_shows_erased_filled_and_real(spec: str) -> None:
    one = sampler(spec)
    data = open_dataset(one.reference.card, None)
    grid = make_sample_grid(one, SampleOptions("run", mode="inpaint", count=5), lambda: data)
    assert len(grid.images) == 15
    batch = data[torch.linspace(0, len(data) - 1, 5).long()]
    assert batch.condition is not None
    assert torch.equal(grid.images[::3], batch.condition)
    assert torch.equal(grid.images[2::3], batch.data)
    assert grid.numbers["error_over_mean_fill"] > 0
    assert (grid.latents is not None) == (one.reference.card.latent_shape is not None)
    if grid.latents is not None:
        assert torch.equal(grid.images[1::3], one.at(grid.latents, condition=batch.condition))


def test_a_condition_stays_the_same_along_an_interpolation() -> None:
    one = sampler("idl-ex5-inpainting-unet-latent-mnist")
    data = open_dataset(one.reference.card, None)
    grid = make_sample_grid(one, SampleOptions("run", mode="interpolate"), lambda: data)
    assert grid.latents is not None
    condition = data[torch.tensor([0])].condition
    assert condition is not None
    assert torch.equal(grid.images, one.at(grid.latents, condition=condition.expand(10, 1, 28, 28)))


def test_readers_of_digits_are_fitted_on_the_data() -> None:
    data = open_dataset(reference.get("mlp-gan-mnist").card, None)
    assert LinearProbe(labelled_digits(data, 4000)).accuracy > 0.85
