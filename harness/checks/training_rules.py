"""How a reference behaves while it trains: rules that every GAN's step keeps, whatever its losses are.

They need no figures to compare with, so they also speak of a GAN that nobody has documented. Each names the mistake
that breaks it. A rule that doesn't speak of a reference isn't among its findings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.data import Dataset
from harness.training.networks import made_networks
from harness.training.player import EnginePlayer
from harness.training.returned import draw_samples
from harness.training.streams import GeneratorNoise, Streams, sampling
from harness.training.system import System
from reference import Batch, Card, Reference, given_condition

_STEPS = 3
_JUDGED = 64  # samples whose scores the players are judged by
_UNDECIDED = 0.2  # of the scores' standard deviation
_LATENT_VALUES = 4000
_SAME_LATENTS = 1e-9
_SLACK = 1e-3
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class RuleResult:
    """Whether a rule was kept; `broken` says how it wasn't."""

    rule: str
    broken: str = ""


def check_training_rules(
    reference: Reference, dataset: Dataset, seed: int, batch_size: int, steps: int = 8
) -> list[RuleResult]:
    """Train a few steps on the CPU, look on, and hold what happens against every rule that applies.

    `steps` is how long either player is trained alone, for the rule that they oppose each other; noise
    decides over fewer than about sixteen, so that 0 leaves it out.
    """
    watch = _TrainingProbe(reference, dataset, seed, batch_size)
    with watch.streams.implicit():
        findings = watch.steps()
        findings += watch.samples()
        findings += watch.labels()
        findings += watch.opposition(steps) if steps else []
    return findings


def logged_means(reference: Reference, dataset: Dataset, seed: int, batch_size: int, steps: int) -> dict[str, float]:
    """The mean of each value that the step returns, over the second half of `steps` steps from the seed."""
    watch = _TrainingProbe(reference, dataset, seed, batch_size)
    with watch.streams.implicit():
        rows = [watch.step() for _ in range(steps)][steps // 2 :]
    return {name: float(torch.stack([row[name].double().mean() for row in rows]).mean()) for name in rows[0]}


class _WatchedPlayer(EnginePlayer):
    """A player that notices gradients which no loss of its own made. `still` keeps it from moving."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(network, optimizer)
        self.began = False
        self.leaked = False
        self.still = False

    def zero_grad(self) -> None:
        super().zero_grad()
        self.began = False

    def backward(self, loss: Tensor) -> None:
        if not self.began:
            self.leaked |= any(p.grad is not None and bool(p.grad.any()) for p in self.parameters)
        self.began = True
        super().backward(loss)

    def step(self) -> None:
        if not self.still:
            super().step()
        self.began = False


class _TrainingProbe:
    """One reference under observation."""

    def __init__(self, reference: Reference, dataset: Dataset, seed: int, batch_size: int) -> None:
        self.reference, self.dataset, self.card = reference, dataset, reference.card
        self.batch_size = min(batch_size, len(dataset))
        self.streams = Streams(seed, _CPU)
        self.seed = seed
        self.noise = GeneratorNoise(self.streams.noise)
        with self.streams.initialising():
            self.networks = made_networks(reference)
        self.system = System(reference, self.networks, lambda _, *parts: _WatchedPlayer(*parts))
        self.watched: dict[str, _WatchedPlayer] = {
            role: getattr(self.system.players, role) for role in self.system.optimizers
        }
        self.order = torch.randperm(len(dataset), generator=self.streams.order)
        self.done = 0
        self.latents: list[Tensor] = []

    def steps(self) -> list[RuleResult]:
        """Some steps as they are."""
        before = {role: _copied(player.parameters) for role, player in self.watched.items()}
        seen: list[bool] = []
        latents_of_step: list[list[Tensor]] = []
        idle: set[str] = set()
        shown = False
        out_of_range = ""
        for _ in range(_STEPS):
            with self._looking() as calls:
                data = self._batch(self.done).data
                self.step()
            idle |= {role for role, _, training in calls if not training}
            out_of_range = out_of_range or _range_complaint(data, self.card, "the data")
            shown |= any(z.shape == data.shape for role, inputs, _ in calls if role != "generator" for z in inputs)
            seen.append(any(_holds(inputs, data) for _, inputs, _ in calls))
            latents_of_step.append(
                [z for role, inputs, _ in calls if role == "generator" for z in self._latents(inputs)]
            )
        self.latents = [z for latents in latents_of_step for z in latents]
        still = [role for role, values in before.items() if _unmoved(values, self.watched[role].parameters)]
        leaking = [role for role, player in self.watched.items() if player.leaked]
        findings = [
            RuleResult(
                "every player is trained", f"the {_listed(still)} didn't move in {_STEPS} steps" if still else ""
            ),
            RuleResult(
                "gradients are a player's own",
                f"the {_listed(leaking)} held gradients before any loss of its own" if leaking else "",
            ),
            RuleResult("players are in training mode", f"parts of the {_listed(sorted(idle))} aren't" if idle else ""),
            RuleResult("data are in the card's range", out_of_range),
        ]
        # A growing network is shown smaller pictures, a style network others: only whole data can be recognised.
        if shown:
            lost = [str(number) for number, found in enumerate(seen, 1) if not found]
            findings.append(
                RuleResult("each step's data are looked at", f"not those of step {', '.join(lost)}" if lost else "")
            )
        if self.latents:
            again = any(
                torch.equal(one, other)
                for number, latents in enumerate(latents_of_step)
                for one in latents
                for later in latents_of_step[number + 1 :]
                for other in later
            )
            findings.append(
                RuleResult("each step draws fresh noise", "two steps used the same latents" if again else "")
            )
        return findings

    def samples(self) -> list[RuleResult]:
        """What sampling draws and gives."""
        from scipy.stats import ks_2samp  # takes a second

        with self._looking() as calls:
            samples = self._sampled()
        findings = [RuleResult("samples are in the card's range", _range_complaint(samples, self.card, "samples"))]
        drawn = [z for role, inputs, _ in calls if role == "generator" for z in self._latents(inputs)]
        if self.latents and drawn:
            trained, sampled = (
                torch.cat([z.flatten() for z in some])[:_LATENT_VALUES] for some in (self.latents, drawn)
            )
            p = float(ks_2samp(trained.numpy(), sampled.numpy()).pvalue)
            differs = (
                "" if p > _SAME_LATENTS else f"latents are distributed otherwise (Kolmogorov-Smirnov, p = {p:.1g})"
            )
            findings.append(RuleResult("sampling draws what training drew", differs))
        return findings

    def labels(self) -> list[RuleResult]:
        """Whether labels play a part in every network that is given them."""
        if not self.card.classes:
            return []
        n = self.batch_size
        labels = torch.arange(n) % self.card.classes
        others = (labels + 1) % self.card.classes
        deaf = []
        if torch.equal(self._sampled(labels), self._sampled(others)):
            deaf.append("generator")
        data = self._batch(0).data
        for role, network in self.card.networks.items():
            if network.classes and network.inputs == (self.card.data_shape,):
                with sampling(self.networks, _CPU, self.seed):
                    one, other = (self.networks[role](data, given) for given in (labels, others))
                if torch.equal(one, other):
                    deaf.append(role)
        return [
            RuleResult("labels play a part", f"the {_listed(deaf)} gives the same for other labels" if deaf else "")
        ]

    def opposition(self, steps: int) -> list[RuleResult]:
        """Whether what one player does to the gap between real and generated, the other undoes.

        Either is trained alone. Which sign the gap has is the reference's own affair.
        """
        judges = [role for role in self.watched if self._judges(role)]
        if len(judges) != 1 or "generator" not in self.watched or self.card.condition:
            return []
        (judge,) = judges
        if self._sampled().shape[1:] != self.card.data_shape:
            return []  # a growing network isn't there yet
        gaps, spread = [self._gap(judge)[0]], 0.0
        for still in ("generator", judge):
            for role, player in self.watched.items():
                player.still = role == still or role not in ("generator", judge)
            for _ in range(steps):
                self.step()
            gap, spread_now = self._gap(judge)
            gaps.append(gap)
            spread = spread or spread_now
        first, second = gaps[1] - gaps[0], gaps[2] - gaps[1]
        shown = f"trained alone, the {judge} moves it by {first:+.2g}, the generator by {second:+.2g}"
        # A judge that has hardly moved hasn't taken a side.
        undecided = 0 < abs(first) < _UNDECIDED * spread
        broken = "" if first * second < 0 or undecided else f"the gap of scores between real and generated: {shown}"
        return [RuleResult("players oppose each other", broken)]

    def _judges(self, role: str) -> bool:
        card = self.card.networks.get(role)
        return card is not None and card.inputs == (self.card.data_shape,) and card.output in ((), (1,))

    def _gap(self, judge: str) -> tuple[float, float]:
        """Mean score of fixed real data less that of samples from fixed latents, and the standard deviation of all."""
        n = _JUDGED
        real = self.dataset[self.order[torch.arange(n) % len(self.order)]]
        labels = torch.arange(n) % self.card.classes if self.card.classes else None
        given = (labels,) if labels is not None and self.card.networks[judge].classes else ()
        fake = self._sampled(labels, n)
        with sampling(self.networks, _CPU, self.seed):
            scores = [self.networks[judge](images, *given) for images in (real.data, fake)]
        return float(scores[0].mean() - scores[1].mean()), float(torch.cat(scores).std())

    def step(self) -> dict[str, Tensor]:
        """One step on the next batch."""
        values = self.system.step(self._batch(self.done), self.noise)
        self.done += 1
        return values

    def _batch(self, number: int) -> Batch:
        places = torch.arange(number * self.batch_size, (number + 1) * self.batch_size) % len(self.order)
        return self.dataset[self.order[places]]

    def _sampled(self, labels: Tensor | None = None, n: int = 0) -> Tensor:
        n, condition = n or self.batch_size, None
        if self.card.condition:
            condition = given_condition(self._batch(0).condition, self.card, n)
        if self.card.classes and labels is None:
            labels = torch.arange(n) % self.card.classes
        with sampling(self.networks, _CPU, self.seed):
            return draw_samples(self.reference, self.networks, n, self.streams.fixed_noise(), labels, condition)

    def _latents(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """Those of a generator's inputs that have a latent's shape."""
        shape = self.card.latent_shape
        return [z for z in inputs if shape is not None and tuple(z.shape[1:]) == shape]

    @contextlib.contextmanager
    def _looking(self) -> Iterator[list[tuple[str, tuple[Tensor, ...], bool]]]:
        """Within, every call of a network with an optimiser: role, inputs, and whether all of it is training."""
        calls: list[tuple[str, tuple[Tensor, ...], bool]] = []

        def noting(role: str, network: nn.Module) -> Any:
            def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
                tensors = tuple(given.detach().clone() for given in inputs if isinstance(given, Tensor))
                calls.append((role, tensors, all(part.training for part in network.modules())))

            return network.register_forward_pre_hook(note, prepend=False)

        hooks = [noting(role, player.network) for role, player in self.watched.items()]
        try:
            yield calls
        finally:
            for hook in hooks:
                hook.remove()


def _holds(inputs: tuple[Tensor, ...], data: Tensor) -> bool:
    return any(given.shape == data.shape and torch.equal(given, data) for given in inputs)


def _copied(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _unmoved(before: list[Tensor], parameters: list[nn.Parameter]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(before, parameters, strict=True))


def _range_complaint(values: Tensor, card: Card, what: str) -> str:
    low, high = card.data_range
    slack = _SLACK * (high - low)
    least, most = float(values.min()), float(values.max())
    # Points of a mixture have no hard ends.
    if card.data_shape == (2,) or (least >= low - slack and most <= high + slack):
        return ""
    return f"{what} go from {least:.3g} to {most:.3g}, declared are {low:g} to {high:g}"


def _listed(names: list[str]) -> str:
    return " and ".join(names)
