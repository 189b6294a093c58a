"""A network's layers against its card: output shapes, parameters, initial values, refusals."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from reference import Card, InitialWeights, NetworkCard

_TESTED = 100_000
_LEAST_P = 1e-6
OPTIMIZER_SETTINGS = ("lr", "betas", "weight_decay", "eps", "momentum", "alpha", "nesterov")


def layer_shapes(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """The output shape (batch first) of every module without children, by name, and of the network itself.

    A parametrisation, as the current spectral norm is, belongs to its layer and is none. One forward pass in evaluation
    mode, where a batch of one is allowed everywhere and nothing is tracked.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    handles = []
    training = {module: module.training for module in network.modules()}
    for name, module in network.named_modules():
        if is_layer(name, module):

            def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                shapes[name] = tuple(output.shape)

            handles.append(module.register_forward_hook(note))
    try:
        network.eval()
        with torch.no_grad():
            output = tuple(network(*inputs).shape)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return shapes, output


def is_layer(name: str, module: nn.Module) -> bool:
    """Whether a module has no children but what its weights are made with."""
    inside = "parametrizations" in name.split(".")
    return not inside and all(child == "parametrizations" for child, _ in module.named_children())


def example_inputs(card: NetworkCard, n: int) -> tuple[Tensor, ...]:
    """Standard normal inputs of the card's shapes, then labels if it has classes; the same every time."""
    generator = torch.Generator().manual_seed(0)
    inputs = tuple(torch.randn(n, *shape, generator=generator) for shape in card.inputs)
    return (*inputs, torch.randint(card.classes, (n,), generator=generator)) if card.classes else inputs


def shape_mismatches(network: nn.Module, card: NetworkCard, n: int) -> list[str]:
    """One line per layer whose output for a batch of `n` isn't the card's; empty when all are.

    Where the card says nothing of layers, the output of the whole network alone is looked at.
    The pass is done on PyTorch's meta device, which computes shapes and no values; where a network can't be run there,
    on the CPU. A network without inputs has one output.
    """
    n = n if card.inputs else 1
    inputs = example_inputs(card, n)
    try:
        there = copy.deepcopy(network).to("meta")
        measured, output = layer_shapes(there, tuple(tensor.to("meta") for tensor in inputs))
    except Exception:  # an operation without a meta form, a shape that depends on values: whatever a network may do
        measured, output = layer_shapes(network, inputs)
    expected = {name: (n, *shape) for name, shape in card.layers.items()}
    lines = [
        f"{name or 'the network'}: {measured.get(name, 'absent')} instead of {expected.get(name, 'no such layer')}"
        for name in ({**expected, **measured} if card.layers else {})
        if measured.get(name) != expected.get(name)
    ]
    if output != (n, *card.output):
        lines.append(f"output: {output} instead of {(n, *card.output)}")
    return lines


def parameter_count(network: nn.Module) -> int:
    """Trainable values."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def initial_value_mismatches(networks: Mapping[str, nn.Module], card: Card, role: str) -> list[str]:
    """One line per parameter of `role` whose fresh values don't look drawn as the card says.

    Constants must be exact. Random values are held against the distribution with a Kolmogorov-Smirnov test on at most
    100,000 of them; one with p below 10⁻⁶ is a mismatch. Every parameter must be covered by the card.
    """
    lines = []
    for name, parameter in networks[role].named_parameters():
        rule = next((w for w in card.initial_weights if w.network == role and fnmatchcase(name, w.pattern)), None)
        if rule is None:
            lines.append(f"{name}: the card doesn't say how it is drawn")
            continue
        p = _fit(parameter.detach().double().reshape(-1)[:_TESTED].numpy(), rule)
        if p < _LEAST_P:
            lines.append(f"{name}: not {rule.distribution}({rule.first:g}, {rule.second:g}), p = {p:.1e}")
    return lines


def optimizer_mismatches(optimizers: Mapping[str, torch.optim.Optimizer], card: Card) -> list[str]:
    """One line per role and setting in which an optimiser isn't the card's, of what the card says."""
    lines = []
    if isinstance(card.optimizer, Mapping):
        lines += [f"{role}: no optimiser, the card has one" for role in card.optimizer if role not in optimizers]
    for role, optimizer in optimizers.items():
        documented = card.optimizer_of(role)
        if documented is None:
            continue
        if type(optimizer).__name__ != documented.kind:
            lines.append(f"{role}: {type(optimizer).__name__} instead of {documented.kind}")
        expected = {name: getattr(documented, name) for name in OPTIMIZER_SETTINGS}
        for group in optimizer.param_groups:
            lines += [
                f"{role}: {name} {group[name]} instead of {value}"
                for name, value in expected.items()
                if value is not None and name in group and group[name] != value
            ]
    return lines


def refusal_mismatches(network: nn.Module, card: NetworkCard) -> list[str]:
    """One line per input of a wrong shape that is accepted, or refused without naming the expected shape.

    With classes, also labels of a float type and one label too few.
    """
    lines = []
    right = example_inputs(card, 2)
    for place, shape in enumerate(card.inputs):
        for wrong in ((shape[0] + 1, *shape[1:]), (*shape, 2), (math.prod(shape) + 3,)):
            given = (*right[:place], torch.zeros(2, *wrong), *right[place + 1 :])
            lines += _accepted(network, given, f"input {place} (2, {', '.join(map(str, wrong))})", shape)
    if card.classes:
        for labels, what in ((right[-1].float(), "labels of a float type"), (right[-1][:1], "a label too few")):
            lines += _accepted(network, (*right[:-1], labels), what, None)
    return lines


def _accepted(network: nn.Module, given: tuple[Tensor, ...], what: str, shape: tuple[int, ...] | None) -> list[str]:
    """A complaint unless the network refuses what was given, naming `shape` if there is one."""
    try:
        with torch.no_grad():
            network(*given)
    except (ValueError, RuntimeError) as error:
        expected = r"\D+".join(map(str, shape or ()))
        if not re.search(rf"\b{expected}\b", str(error)):
            return [f"{what}: the error doesn't name {shape}: {error}"]
        return []
    return [f"{what} is accepted" + (f"; expected is (N, *{shape})" if shape else "")]


def _fit(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rule: InitialWeights) -> float:
    """The p-value of `values` under the rule."""
    if rule.distribution == "constant":
        return float((values == rule.first).all())
    if rule.distribution == "normal":
        return float(stats.kstest(values, stats.norm(rule.first, rule.second).cdf).pvalue)
    return float(stats.kstest(values, stats.uniform(rule.first, rule.second - rule.first).cdf).pvalue)
