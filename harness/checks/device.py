"""What every other figure of a device stands on: bits, random generators, delivered pixels, workspaces."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from harness.checks.shapes import example_inputs
from harness.data.dataset import Uint8Dataset, scale_pixels
from harness.data.device_transfer import DeviceTransfer
from harness.memory.cublas import Workspaces
from harness.training.state import digest
from harness.training.streams import GeneratorNoise, Streams
from harness.training.synthetic_step import SyntheticStep
from reference import Batch, NetworkCard, Reference

Pass = Literal["forwards", "backwards", "double backwards"]
PASSES: tuple[Pass, ...] = get_args(Pass)
_STEPS = 2


def differing_step(reference: Reference, batch_size: int, device: torch.device) -> str:
    """The first thing that two runs of the same steps from the same seed don't share to the bit; "" for nothing.

    Call it within `torch.random.fork_rng`.
    """
    one, other = (_steps(reference, batch_size, device) for _ in range(2))
    return next((name for name in one if one[name] != other[name]), "")


def _steps(reference: Reference, batch_size: int, device: torch.device) -> dict[str, str]:
    """Digests of what some steps compute, in the order in which it comes about."""
    _seed(reference.card.seed, device)
    prepared = SyntheticStep(reference, batch_size, device)
    found: dict[str, str] = {}
    for number in range(1, _STEPS + 1):
        values = prepared()
        found |= {f"step {number}: {name}": digest(value) for name, value in values.items()}
        for role, network in prepared.networks.items():
            tensors = ((name, t) for name, t in network.state_dict().items() if isinstance(t, Tensor))
            found |= {f"step {number}: {role} {name}": digest(tensor) for name, tensor in tensors}
    return found


def differing_passes(make: Callable[[], nn.Module], card: NetworkCard, n: int, device: torch.device) -> dict[Pass, str]:
    """For each pass through a network, what two goes at it don't share to the bit; "" for nothing.

    Backwards are the gradients of its parameters; double backwards those of a gradient penalty: of the norm of the
    gradient of its inputs. A pass that a network doesn't have, for it has no parameters or inputs, is left out.

    Args:
        make: the network from PyTorch's random state, which is seeded before.

    Call it within `torch.random.fork_rng`.
    """
    goes = [_passes(make, card, n, device) for _ in range(2)]
    return {
        passing: next((name for name, bits in goes[0][passing].items() if goes[1][passing][name] != bits), "")
        for passing in PASSES
        if goes[0][passing]
    }


def _passes(
    make: Callable[[], nn.Module], card: NetworkCard, n: int, device: torch.device
) -> Mapping[Pass, dict[str, str]]:
    _seed(0, device)
    network = make().to(device)
    inputs = [tensor.to(device) for tensor in example_inputs(card, n)]
    varied = [tensor.requires_grad_() for tensor in inputs if tensor.is_floating_point()]
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    output = network(*inputs)
    found: dict[Pass, dict[str, str]] = {
        "forwards": {"the output": digest(output)},
        "backwards": {},
        "double backwards": {},
    }
    if not (named and output.requires_grad):
        return found
    gradients = torch.autograd.grad(output.square().mean(), list(named.values()), allow_unused=True, retain_graph=True)
    found["backwards"] = _bits(named, gradients)
    if varied:
        slopes = torch.autograd.grad(output.sum(), varied, create_graph=True, allow_unused=True)
        steepness = sum(slope.square().sum() for slope in slopes if slope is not None)
        if isinstance(steepness, Tensor) and steepness.requires_grad:
            penalised = torch.autograd.grad(steepness, list(named.values()), allow_unused=True)
            found["double backwards"] = _bits(named, penalised)
    return found


def _bits(named: Mapping[str, Tensor], gradients: tuple[Tensor | None, ...]) -> dict[str, str]:
    return {name: digest(g) for name, g in zip(named, gradients, strict=True) if g is not None}


def _seed(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def wrong_generators(device: torch.device) -> list[str]:
    """What a run's random streams fail at on a device, of: saved and restored, cloned, drawing where they live."""
    wrong = []
    streams = Streams(3, device)
    if not torch.equal(streams.fixed_noise().normal(5), streams.fixed_noise().normal(5)):
        wrong.append("a clone of a generator draws something else")
    with streams.implicit():
        states = {name: state.clone() for name, state in streams.states().items()}

        def draw() -> list[Tensor]:
            noise = GeneratorNoise(streams.noise)
            return [noise.normal(1000), noise.uniform(1000), noise.integers(10, 1000), torch.rand(1000, device=device)]

        first = draw()
        streams.restore(states)
        names = ("normal", "uniform", "integers", "PyTorch's own")
        for name, one, other in zip(names, first, draw(), strict=True):
            if not torch.equal(one, other):
                wrong.append(f"after restoring, {name} draws are others")
            if one.device.type != device.type:
                wrong.append(f"{name} draws lie on {one.device}, not on {device}")
    return wrong


class _Pixels(Uint8Dataset):
    """As much of a data set as a delivery asks for."""

    value_range = (-1.0, 1.0)

    def pixels(self, indices: Tensor) -> Batch:
        raise NotImplementedError


def differing_pixels(device: torch.device) -> int:
    """How many of a batch's values come to a device otherwise than the CPU scales them, to the bit."""
    pixels = torch.randint(256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    batch = Batch(pixels, torch.arange(16))
    delivery = DeviceTransfer(_Pixels(), device)  # type: ignore[arg-type]
    given = [batch.pin_memory() if device.type == "cuda" else batch for _ in range(3)]
    expected = scale_pixels(pixels, _Pixels.value_range)
    return max(int((moved.data.cpu() != expected).sum()) for moved in delivery.batches(given))


def wrong_workspaces(device: torch.device) -> str:
    """How what matrix products leave allocated on a card isn't what the estimate counts for this PyTorch; "" if it is.

    Found out in a process of its own, for the first products alone bring workspaces to stay.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        kept = fresh.submit(_kept_by_products, device).result()
    spaces = Workspaces.of()
    counted = 2 * spaces.cublas + spaces.lt if spaces.kept else 0
    if abs(kept - counted) <= 2**20:  # the products' own results
        return ""
    return f"{kept / 2**20:.1f} MiB stay allocated, counted are {counted / 2**20:.1f} ({spaces.described})"


def _kept_by_products(device: torch.device) -> int:
    """Bytes that stay allocated after products in the forward's and in the backward's thread."""
    first = torch.randn(64, 64, device=device, requires_grad=True)
    bias = torch.randn(64, device=device)
    before = torch.cuda.memory_allocated(device)
    (torch.addmm(bias, first, first) @ first).sum().backward()  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    return torch.cuda.memory_allocated(device) - before
