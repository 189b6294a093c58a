"""Samples at latents of one's choosing, from any reference: what its `sample` draws is handed to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from harness.records.arrays import Floats
from harness.training.device import numerics
from harness.training.returned import draw_samples
from harness.training.streams import GeneratorNoise, Streams, sampling
from reference import Noise, Reference

_MAX_VALUES = 1 << 27


class GivenLatents:
    """A noise whose first normal draw is `latents` (n, *latent_shape); the rest comes from `rest`.

    Raises:
        ValueError: that draw has another shape.
    """

    def __init__(self, latents: Tensor, rest: Noise) -> None:
        self._latents: Tensor | None = latents
        self._rest = rest

    def normal(self, *shape: int) -> Tensor:
        """The latents, once; after them standard normal values."""
        if self._latents is None:
            return self._rest.normal(*shape)
        latents, self._latents = self._latents, None
        if latents.shape != shape:
            raise ValueError(f"sampling draws latents of shape {shape}, given were {tuple(latents.shape)}")
        return latents

    def uniform(self, *shape: int) -> Tensor:
        """Values in [0, 1)."""
        return self._rest.uniform(*shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""
        return self._rest.integers(high, *shape)


@dataclass(frozen=True)
class Sampler:
    """A reference with its networks, ready to be sampled; everything drawn follows from `seed`."""

    reference: Reference
    networks: Mapping[str, nn.Module]
    device: torch.device
    seed: int

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one latent.

        Raises:
            ValueError: the reference has none.
        """
        shape = self.reference.card.latent_shape
        if shape is None:
            raise ValueError(f"{self.reference.card.name} has no latent vector")
        return shape

    def latents(self, n: int, stream: int = 0) -> Floats:
        """`n` latents from the seed's evaluation stream, (n, *latent_shape): those that `draw` uses.

        Another `stream` gives others.
        """
        noise = Streams(self.seed + 1_000_003 * stream, self.device).fixed_noise()
        return noise.normal(n, *self.latent_shape).cpu().double().numpy()

    def draw(self, n: int, labels: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """`n` samples, (n, …) on the CPU."""
        return self._sample(n, self._noise(), labels, condition)

    def at(self, latents: Floats, labels: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """Samples at `latents` (n, *latent_shape), (n, …) on the CPU.

        All in one batch, for batch normalisation ties the samples of a batch together; only where a batch would take
        more than 2²⁷ values, in several.

        Raises:
            ValueError: the latents have another shape.
        """
        if latents.shape[1:] != self.latent_shape:
            expected = ", ".join(map(str, ("n", *self.latent_shape)))
            raise ValueError(f"{self.reference.card.name} takes latents of shape ({expected}), not {latents.shape}")
        size = max(1, _MAX_VALUES // prod(self.reference.card.data_shape))
        made = []
        for start in range(0, len(latents), size):
            part = slice(start, start + size)
            given = torch.from_numpy(latents[part]).float().to(self.device)
            one, other = (tensor if tensor is None else tensor[part] for tensor in (labels, condition))
            made.append(self._sample(len(given), GivenLatents(given, self._noise()), one, other))
        return torch.cat(made)

    def encoded(self, images: Tensor) -> Floats:
        """The latents (n, *latent_shape) that the encoder finds for images (n, …).

        Raises:
            ValueError: the reference has no encoder.
        """
        if "encoder" not in self.networks:
            raise ValueError(f"{self.reference.card.name} has no encoder")
        with numerics(self.device, deterministic=True, threads=None), sampling(self.networks, self.device, self.seed):
            found: Tensor = self.networks["encoder"](images.to(self.device))
        return found.cpu().double().numpy()

    def _noise(self) -> GeneratorNoise:
        return Streams(self.seed, self.device).fixed_noise()

    def _sample(self, n: int, noise: Noise, labels: Tensor | None, condition: Tensor | None) -> Tensor:
        labels, condition = (given if given is None else given.to(self.device) for given in (labels, condition))
        with numerics(self.device, deterministic=True, threads=None), sampling(self.networks, self.device, self.seed):
            return draw_samples(self.reference, self.networks, n, noise, labels, condition).cpu()
