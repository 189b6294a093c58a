from __future__ import annotations

import dataclasses
import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from harness.memory.caching_allocator import MIB
from harness.memory.storage_tracer import (
    ACTIVATIONS,
    BACKWARD,
    BATCH,
    COUNTERS,
    GRADIENTS,
    KINDS,
    OPTIMIZER,
    UPDATE,
    WEIGHTS,
    WORKSPACES,
    StorageTracer,
    trace_fake_step,
)
from harness.memory.timeline import Timeline, bytes_held, live, peak, split
from reference import Batch, Card, Forward, Networks, Noise, Players, get
from tests.toys import CARD

N = 1000
WORKSPACE = ":4096:8"  # 8 times 4 MiB


@pytest.fixture(autouse=True)
def one_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyTorch up to 2.14: kept from the first product on."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
    monkeypatch.setenv("TORCH_CUBLAS_WORKSPACE_CACHE", "1")


def two_layers() -> nn.Module:
    """58 parameters: 4 · 8 + 8 and 8 · 2 + 2."""
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters())


@dataclass(frozen=True)
class Small:
    """One network that makes the mean of its outputs smaller. `clear` says when gradients are dropped."""

    network: Callable[[], nn.Module] = two_layers
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] = adam
    latent: tuple[int, ...] = (4,)
    clear: str = "before the backward pass"
    read: Callable[[Tensor], object] = lambda _: None
    made: list[weakref.ref[nn.Module]] = field(default_factory=list, compare=False)
    card: ClassVar[Card] = dataclasses.replace(CARD, networks={})  # the latents have another size than the toy's

    def networks(self) -> dict[str, nn.Module]:
        networks = {"generator": self.network()}
        self.made.append(weakref.ref(networks["generator"]))
        return networks

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        return {role: self.optimizer(network) for role, network in networks.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        generator = players.generator
        outputs = generator(noise.normal(len(batch.data), *self.latent))
        self.read(outputs)
        loss = outputs.mean()
        if self.clear == "before the backward pass":
            generator.zero_grad()
        generator.backward(loss)
        generator.step()
        if self.clear == "at the end":
            generator.zero_grad()
        return {"loss": loss.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        return networks["generator"](noise.normal(n, *self.latent))


def follow(reference: Any, batch_size: int, *, as_on_cuda: bool) -> Timeline:
    return trace_fake_step(reference, batch_size, as_on_cuda=as_on_cuda)


def parts(timeline: Timeline) -> dict[str, int]:
    return split(live(timeline.events, peak(timeline).index), timeline.kinds, "else")


def most(timeline: Timeline, kind: str) -> int:
    """The most that the step holds of one kind at once."""
    return peak(timeline.without({event.storage for event in timeline.events} - timeline.of_kind(kind))).size


def test_the_memory_of_two_layers_as_worked_by_hand() -> None:
    timeline = follow(Small(), N, as_on_cuda=False)
    # The peak is where the second layer's backward pass has just summed up the gradient of its bias.
    assert parts(timeline) == {
        ACTIVATIONS: 4 * N * 4 + 4 * N * 8 + 4 * N * 2 + 4,  # noise, both outputs, the loss
        BACKWARD: 4 + 4 * N * 2 + 4 * N * 8,  # gradients of the loss, of the outputs, of the first layer's outputs
        BATCH: 4 * N * 2,
        OPTIMIZER: 2 * 4 * 58,
        WEIGHTS: 4 * 58,
        GRADIENTS: 4 * (8 * 2 + 2),
        COUNTERS: 4 * 4,
    }
    last = timeline.events[peak(timeline).index]
    assert (last.layer, last.operator, last.size) == ("generator.1", "sum", 4 * 2)


def test_what_is_held_between_steps() -> None:
    timeline = follow(Small(), N, as_on_cuda=False)
    stays = 4 * 58 * 4 + 4 * N * 2 + 4 * 4  # weights, gradients and twice as much state; the batch; counters
    assert bytes_held(timeline.events[: timeline.begin]) == bytes_held(timeline.events) == stays


def test_the_layer_that_takes_the_most_is_named() -> None:
    def inner() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 500), nn.Linear(500, 3), nn.Linear(3, 2))

    def last() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 500), nn.Tanh())

    at_peak = follow(Small(last), N, as_on_cuda=False)
    assert at_peak.events[peak(at_peak).index].layer == "generator.2"
    timeline = follow(Small(inner), N, as_on_cuda=False)
    large = [event for event in timeline.events[timeline.begin :] if event.size >= 4 * N * 500]
    forward, backward = large
    assert (forward.layer, timeline.kinds[forward.storage]) == ("generator.0", ACTIVATIONS)
    assert (backward.layer, timeline.kinds[backward.storage]) == ("generator.1", BACKWARD)


@pytest.mark.parametrize("spec", ["mlp-gan-mnist", "idl-wgan-gp-grid"])
@pytest.mark.parametrize("as_on_cuda", [False, True])
def test_everything_has_a_kind_and_kinds_add_up(spec: str, as_on_cuda: bool) -> None:
    timeline = follow(get(spec), 16, as_on_cuda=as_on_cuda)
    found = parts(timeline)
    assert sum(found.values()) == peak(timeline).size
    assert {event.storage for event in timeline.events} <= set(timeline.kinds)
    assert set(found) <= {*KINDS, COUNTERS}
    trained = 4 * sum(p.numel() for network in get(spec).networks().values() for p in network.parameters())
    assert (found[WEIGHTS], found[OPTIMIZER]) == (trained, 2 * trained)
    assert most(timeline, GRADIENTS) <= trained


def test_memory_grows_with_the_batch_by_what_a_sample_takes() -> None:
    sizes = [peak(follow(Small(), n, as_on_cuda=False)).size for n in (N, N + 1, N + 10)]
    per_sample = 4 * (4 + 8 + 2 + 2 + 8 + 2)
    assert [size - sizes[0] for size in sizes] == [0, per_sample, 10 * per_sample]


@pytest.mark.parametrize(
    ("clear", "between", "at_peak"),
    [("never", 4 * 58, 4 * 58 + 4 * 18), ("before the backward pass", 4 * 58, 4 * 18), ("at the end", 0, 4 * 18)],
)
def test_gradients_that_are_kept_are_held(clear: str, between: int, at_peak: int) -> None:
    timeline = follow(Small(clear=clear), N, as_on_cuda=False)
    assert bytes_held(timeline.events) == 4 * 58 * 3 + between + 4 * N * 2 + 4 * 4
    found = parts(timeline)
    gradients = found[GRADIENTS] + found[BACKWARD] - (4 + 4 * N * 2 + 4 * N * 8)
    assert gradients == at_peak, "new ones beside the old that they are added to"


def test_buffers_count_as_weights() -> None:
    timeline = follow(Small(lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))), N, as_on_cuda=False)
    trained, buffers = 4 * (4 * 8 + 8 + 8 + 8), 4 * (8 + 8) + 8  # running statistics, and a count of 8 bytes
    assert most(timeline, WEIGHTS) == trained + buffers
    assert most(timeline, OPTIMIZER) == 2 * trained


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [
        (lambda network: torch.optim.SGD(network.parameters(), lr=0.1), 0),
        (lambda network: torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), 1),
        (lambda network: torch.optim.RMSprop(network.parameters()), 1),
        (lambda network: torch.optim.Adam(network.parameters(), amsgrad=True), 3),
    ],
)
@pytest.mark.parametrize("as_on_cuda", [False, True])
def test_each_optimiser_keeps_its_own_state(
    optimizer: Callable[[nn.Module], torch.optim.Optimizer], state: int, as_on_cuda: bool
) -> None:
    timeline = follow(Small(optimizer=optimizer), N, as_on_cuda=as_on_cuda)
    assert most(timeline, OPTIMIZER) == state * 4 * 58


def equal_layers() -> nn.Module:
    return nn.Sequential(*(nn.Linear(32, 32, bias=False) for _ in range(6)))


def test_on_cuda_optimisers_update_everything_at_once() -> None:
    one = 4 * 32 * 32
    small = Small(equal_layers, latent=(32,))
    one_by_one, at_once = (follow(small, 2, as_on_cuda=as_on_cuda) for as_on_cuda in (False, True))
    assert most(one_by_one, UPDATE) == 3 * one, "a root, a quotient, and the quotient before it"
    assert most(at_once, UPDATE) == 6 * one, "all roots"
    last = at_once.events[peak(at_once).index]
    assert (last.layer, last.operator) == ("generator's optimiser", "_foreach_sqrt")


def test_an_optimiser_that_is_told_otherwise_goes_on_one_by_one() -> None:
    small = Small(equal_layers, lambda n: torch.optim.Adam(n.parameters(), foreach=False), latent=(32,))
    found = [most(follow(small, 2, as_on_cuda=as_on_cuda), UPDATE) for as_on_cuda in (False, True)]
    assert found == [3 * 4 * 32 * 32] * 2


@pytest.mark.parametrize(
    ("network", "latent", "workspaces"),
    [
        (two_layers, (4,), 65),  # with a bias vector cuBLASLt's 1 MiB comes along
        (lambda: nn.Linear(4, 8, bias=False), (4,), 64),
        (lambda: nn.Conv2d(1, 2, 3), (1, 5, 5), 0),
        (lambda: nn.Sequential(nn.ConvTranspose2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU()), (3, 1, 1), 0),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2, 1)), (1, 5, 5), 64),
    ],
)
def test_workspaces_come_with_the_first_matrix_product(
    network: Callable[[], nn.Module], latent: tuple[int, ...], workspaces: int
) -> None:
    small = Small(network, latent=latent)
    assert most(follow(small, 3, as_on_cuda=True), WORKSPACES) == workspaces * MIB
    assert most(follow(small, 3, as_on_cuda=False), WORKSPACES) == 0


@pytest.mark.parametrize(
    "read",
    [
        lambda outputs: outputs.mean().item(),
        lambda outputs: float(outputs.sum()),
        lambda outputs: outputs[outputs > 0],
        lambda outputs: 1 if outputs.mean() > 0 else 0,
    ],
)
def test_a_step_that_reads_values_is_refused_in_one_line(read: Callable[[Tensor], object]) -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match="toy-grid can't be followed without values: its step needs") as raised:
        follow(Small(read=read), N, as_on_cuda=True)
    assert "\n" not in str(raised.value)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not isinstance(torch.ones(2) + 1, FakeTensor), "everything is real again"


def test_a_batch_that_the_step_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^style-transfer needs 1 style pictures, one per sample, not 2$"):
        follow(get("style-transfer", size=16), 2, as_on_cuda=True)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        follow(Small(lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))), 1, as_on_cuda=True)


def test_an_input_that_a_guarded_network_refuses_is_refused() -> None:
    class Described(Small):
        card = CARD  # which says 3 inputs

    with pytest.raises(ValueError, match=r"the generator of toy-grid expects input of shape \(N, 3\), not \(1000, 4\)"):
        follow(Described(), N, as_on_cuda=False)


def test_following_leaves_the_global_random_state_as_it_was() -> None:
    before = torch.random.get_rng_state()
    follow(Small(lambda: nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5))), N, as_on_cuda=True)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_following_twice_sees_the_same() -> None:
    torch.manual_seed(1)
    first = follow(get("mlp-gan-mnist"), 4, as_on_cuda=True)
    torch.manual_seed(2)
    assert follow(get("mlp-gan-mnist"), 4, as_on_cuda=True) == first


def test_nothing_stays_followed() -> None:
    small = Small()
    timeline = follow(small, N, as_on_cuda=True)
    events, kinds = len(timeline.events), dict(timeline.kinds)
    gc.collect()
    assert [made() for made in small.made] == [None]
    after = torch.ones(3, requires_grad=True)
    (after * 2).sum().backward()
    assert not isinstance(after.grad, FakeTensor)
    assert (len(timeline.events), timeline.kinds) == (events, kinds)


def test_a_storage_is_an_event_when_it_comes_and_when_it_dies() -> None:
    with StorageTracer() as tracer:
        tensor = torch.ones(10)
        view = tensor.view(5, 2).t()[1:]
        view.mul_(2).add_(tensor[:5])
        tensor.resize_(5)
        assert [event.size for event in tracer.events] == [40]
        tensor.resize_(20)
        assert [event.size for event in tracer.events] == [40, -40, 80]
        assert len({event.storage for event in tracer.events}) == 1
        del tensor
        assert bytes_held(tracer.events) == 80, "the view keeps it"
        del view
        assert bytes_held(tracer.events) == 0


def test_many_short_lives_are_told_apart() -> None:
    with StorageTracer() as tracer:
        for n in range(1, 200):
            torch.empty(n)
    assert [event.size for event in tracer.events[::2]] == [4 * n for n in range(1, 200)]
    assert [event.storage for event in tracer.events] == [n // 2 for n in range(2 * 199)]
    assert max(sum(live(tracer.events, place).values()) for place in range(2 * 199)) == 4 * 199


def test_what_a_storage_is_called_is_what_was_said_last() -> None:
    with StorageTracer() as tracer:
        with tracer.phase(BACKWARD, "a layer"):
            first, second = torch.ones(2), torch.ones(3)
        third = torch.ones(4)
        tracer.name(second, GRADIENTS)
        tracer.name(None, GRADIENTS)
    assert tracer.kinds == {0: BACKWARD, 1: GRADIENTS, 2: ACTIVATIONS}
    assert [event.layer for event in tracer.events] == ["a layer", "a layer", ""]
    assert [len(first), len(second), len(third)] == [2, 3, 4]
