"""A run's random streams: separate generators, all derived from its seed, so that none disturbs another."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


class GeneratorNoise:
    """Draws from one generator, on its device, in the order in which they are asked for (see `reference.Noise`)."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def normal(self, *shape: int) -> Tensor:
        """Standard normal values."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def uniform(self, *shape: int) -> Tensor:
        """Values in [0, 1)."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator, device=self.generator.device)


class Streams:
    """Initialisation, data order, noise and evaluation, and `implicit`: torch's own global state during a step.

    Nothing in this project draws from the global state while training, but layers such as dropout do, and other
    people's references may. It is seeded for the run, saved with it, and put back as it was found afterwards.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.initialisation = _generator(seed, "initialisation", torch.device("cpu"))
        self.order = _generator(seed, "order", torch.device("cpu"))
        self.noise = _generator(seed, "noise", device)
        self.evaluation = _generator(seed, "evaluation", device)
        self._seed = seed
        self._implicit_seed = _derive(seed, "implicit")

    @contextlib.contextmanager
    def initialising(self) -> Iterator[None]:
        """Within, torch's global CPU state is the initialisation stream; afterwards it is as before."""
        before = torch.random.get_rng_state()
        try:
            torch.random.set_rng_state(self.initialisation.get_state())
            yield
            self.initialisation.set_state(torch.random.get_rng_state())
        finally:
            torch.random.set_rng_state(before)

    @contextlib.contextmanager
    def implicit(self) -> Iterator[None]:
        """Within, torch's global state is the run's own; afterwards it is as before."""
        with torch.random.fork_rng(_devices(self.device)):
            _seed_global(self._implicit_seed, self.device)
            yield

    def augmentation(self, epoch: int) -> int:
        """The seed of an epoch's random changes to its samples; a batch adds its number in the epoch."""
        return _derive(self._seed, f"augmentation/{epoch}") >> 1

    def fixed_noise(self) -> GeneratorNoise:
        """The same draws at every call: the latents behind a run's sample grids."""
        return GeneratorNoise(self.evaluation.clone_state())

    def states(self) -> dict[str, Tensor]:
        """The state of every stream but the data order, as CPU byte tensors (call within `implicit`)."""
        states = {
            "initialisation": self.initialisation.get_state(),
            "noise": self.noise.get_state(),
            "evaluation": self.evaluation.get_state(),
            "implicit": torch.random.get_rng_state(),
        }
        if self.device.type == "cuda":
            states["implicit_cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def restore(self, states: dict[str, Tensor]) -> None:
        """Set every stream to what `states` returned (call within `implicit`)."""
        self.initialisation.set_state(states["initialisation"])
        self.noise.set_state(states["noise"])
        self.evaluation.set_state(states["evaluation"])
        torch.random.set_rng_state(states["implicit"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states["implicit_cuda"], self.device)


@contextlib.contextmanager
def sampling(networks: Mapping[str, torch.nn.Module], device: torch.device, seed: int) -> Iterator[None]:
    """Within, nothing that is sampled leaves a trace: no graph, no moved buffer, no global random state.

    What networks draw for themselves (dropout) follows from `seed`. Batch normalisation keeps using batch statistics
    where a network is in training mode, as documents 000 and 003 sample; the running statistics that this moves, and
    whatever else a network keeps in buffers, are put back.
    """
    buffers = [buffer for network in networks.values() for buffer in network.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        with torch.no_grad(), torch.random.fork_rng(_devices(device)):
            _seed_global(_derive(seed, "sampling"), device)
            yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)


def _seed_global(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def _devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _generator(seed: int, name: str, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(_derive(seed, name))


def _derive(seed: int, name: str) -> int:
    """63 bits that depend on both, so that neighbouring seeds and the streams of one seed share nothing."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") >> 1
