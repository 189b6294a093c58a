"""Perceptual path length where it is known: of a linear generator, of one that draws a single picture."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from harness.data.mnist import Mnist, bundled_root
from harness.latents.path_length import path_length
from harness.training.sampler import Sampler
from reference import Card, Forward, Noise

CPU = torch.device("cpu")
LATENT, SIDE = 3, 4


class Pixels:
    """The squared Euclidean distance of the pixels."""

    name = "pixels"

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        return (one.double() - other.double()).flatten(1).square().sum(1)


@dataclass(frozen=True)
class Linear:
    """Images that are a linear function of the latent, plus noise that isn't one, in a range of `width`."""

    width: float = 2000.0
    noisy: bool = False
    classes: int = 0

    @property
    def card(self) -> Card:
        half = self.width / 2
        return Card(
            name="linear",
            data_shape=(1, SIDE, SIDE),
            data_range=(-half, half),
            batch_size=4,
            epochs=1,
            latent_shape=(LATENT,),
            classes=self.classes,
        )

    def sample(self, networks: Forward, n: int, noise: Noise, labels: Tensor | None = None) -> Tensor:
        made = networks["generator"](noise.normal(n, LATENT))
        if labels is not None:
            made = made * labels[:, None]
        extra = noise.normal(n, SIDE * SIDE) if self.noisy else 0
        return (made + extra).view(n, 1, SIDE, SIDE)


def measured(reference: object, matrix: Tensor, n: int = 4000) -> float:
    generator = nn.Linear(LATENT, SIDE * SIDE, bias=False)
    generator.weight = nn.Parameter(matrix)
    sampler = Sampler(reference, {"generator": generator}, CPU, 0)  # type: ignore[arg-type]
    data = Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0))
    return path_length(sampler, n, data, Pixels()).value


MATRIX = torch.randn(SIDE * SIDE, LATENT, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [20.0, 40.0])
def test_a_linear_generators_is_its_matrix_squared(width: float) -> None:
    """E|A(z′ − z)|² = 2‖A‖²; of pixels in [0, 1]. Without the highest per cent, which weigh most, a little less."""
    expected = 2 * float(MATRIX.square().sum()) / width**2
    assert measured(Linear(width), MATRIX) == pytest.approx(0.95 * expected, rel=0.06)


def test_a_generator_that_draws_one_picture_has_none() -> None:
    """Where the measure misleads: a path that leads nowhere is the smoothest."""
    assert measured(Linear(), 0 * MATRIX) == 0


def test_what_else_is_drawn_stays_the_same() -> None:
    """The saboteur: noise beside the latent, drawn anew for the second picture, would make any path endless."""
    assert measured(Linear(40.0, noisy=True), MATRIX) == pytest.approx(measured(Linear(40.0), MATRIX), rel=1e-2)


def test_both_ends_show_the_same_class() -> None:
    by_class = measured(Linear(40.0, classes=2), MATRIX)
    assert by_class == pytest.approx(measured(Linear(40.0), MATRIX) / 2, rel=0.1), "class 0 draws nothing at all"


def test_a_steeper_generator_has_a_longer_one() -> None:
    assert measured(Linear(), 2 * MATRIX) == pytest.approx(4 * measured(Linear(), MATRIX), rel=0.01)


def test_without_a_latent_there_is_no_path() -> None:
    class Without(Linear):
        @property
        def card(self) -> Card:
            return Card(name="none", data_shape=(1, 4, 4), batch_size=4, epochs=1)

    with pytest.raises(ValueError, match="none has no latent vector"):
        measured(Without(), MATRIX)
