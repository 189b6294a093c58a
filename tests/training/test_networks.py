"""Lazy layers: sized by a step with others, and otherwise like the layers that they become."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.memory.estimate import estimated_tensors, traced_tensors
from harness.training.networks import drawn_networks, made_networks
from tests import toys
from tests.ingredient_toys import Ingredients

CPU = torch.device("cpu")


def toy_of(make: Callable[[], dict[str, nn.Module]], **more: Any) -> Any:
    """A toy with these networks, and with other methods."""

    class Made(toys.Toy):
        def networks(self) -> dict[str, nn.Module]:
            return make()

    for name, method in more.items():
        setattr(Made, name, method)
    return Made()


def two(layer: Callable[[], nn.Module]) -> dict[str, nn.Module]:
    return {"generator": nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), "discriminator": nn.Sequential(layer())}


def test_a_lazy_network_starts_with_the_bits_of_one_whose_sizes_are_named() -> None:
    """The step that tells the sizes draws nothing from the run's streams. Here the lazy layer is the last one."""
    named = drawn_networks(toy_of(lambda: two(lambda: nn.Linear(2, 1))), 3, CPU)
    lazy = drawn_networks(toy_of(lambda: two(lambda: nn.LazyLinear(1))), 3, CPU)
    for role in named:
        for mine, other in zip(named[role].parameters(), lazy[role].parameters(), strict=True):
            assert torch.equal(mine, other)
    assert type(lazy["discriminator"][0]) is nn.Linear  # type: ignore[index]


def test_the_reference_itself_takes_no_step_for_it() -> None:
    taken: list[int] = []

    class Counting(toys.Toy):
        def networks(self) -> dict[str, nn.Module]:
            return two(lambda: nn.LazyLinear(1))

        def step(self, players: Any, batch: Any, noise: Any) -> dict[str, Tensor]:
            taken.append(id(self))
            return super().step(players, batch, noise)

    mine: Any = Counting()
    made_networks(mine)
    assert taken
    assert id(mine) not in taken


def test_what_only_sampling_reaches_is_sized_too() -> None:
    def sample(_: Any, networks: dict[str, nn.Module], n: int, noise: Any, *__: object) -> Tensor:
        samples: Tensor = networks["average"](noise.normal(n, 3))
        return samples

    toy = toy_of(lambda: two(lambda: nn.Linear(2, 1)) | {"average": nn.LazyLinear(2)}, sample=sample)
    assert made_networks(toy)["average"].weight.shape == (2, 3)


def test_a_sample_that_fails_leaves_the_step_to_tell() -> None:
    def fails(*_: object, **__: object) -> Tensor:
        raise RuntimeError("no samples yet")

    made_networks(toy_of(lambda: two(lambda: nn.LazyLinear(1)), sample=fails))


def test_a_critic_of_several_samples_is_sized_by_a_whole_batch() -> None:
    """As PacGAN's: two samples make no pack of four."""

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LazyLinear(1)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.layer(x.view(-1, 4 * 2))
            return made

    made = made_networks(toy_of(lambda: two(Packed)))
    assert made["discriminator"][0].layer.weight.shape == (1, 8)  # type: ignore[index]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: nn.LazyConv2d(4, 3), "in discriminator are lazy layers that don't: "),
        (lambda: nn.Sequential(nn.LazyLinear(4), nn.LazyConv3d(4, 3)), "in discriminator are lazy layers that don't: "),
    ],
)
def test_layers_that_take_no_such_input_are_one_line(layer: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made_networks(toy_of(lambda: two(layer)))


def test_a_copy_of_a_layer_without_a_size_is_one_line() -> None:
    def make() -> dict[str, nn.Module]:
        generator = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
        return {"generator": generator, "discriminator": nn.Linear(2, 1), "average": copy.deepcopy(generator)}

    with pytest.raises(ValueError, match=r"^networks\(\) of toy-grid uses lazy layers before their sizes are known"):
        made_networks(toy_of(make))


def test_one_lazy_layer_in_two_roles_is_sized_once() -> None:
    class Own(nn.modules.lazy.LazyModuleMixin, nn.Module):
        """A lazy layer of one's own, which becomes nothing else."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.UninitializedParameter()

        def initialize_parameters(self, input: Tensor) -> None:
            if self.has_uninitialized_params():
                self.weight.materialize((1, input.shape[-1]))
                nn.init.ones_(self.weight)

        def forward(self, input: Tensor) -> Tensor:
            return input @ self.weight.t()

    def make() -> dict[str, nn.Module]:
        shared = Own()
        return {"generator": nn.Linear(3, 2), "discriminator": shared, "same": nn.Sequential(shared)}

    assert made_networks(toy_of(make))["same"][0].weight.shape == (1, 2)  # type: ignore[index]


def test_what_was_made_to_tell_sizes_is_not_counted_as_what_a_step_holds() -> None:
    toy: Any = Ingredients()
    gc.collect()
    gc.disable()  # as it happens not to run in time
    try:
        with torch.random.fork_rng([]):
            assert traced_tensors(toy, 4, CPU) == estimated_tensors(toy, 4)
    finally:
        gc.enable()
