"""What a card alone can show, in seconds: `pytest tests -m gpu`. Without `-m gpu` no test ever sees a card."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from harness.checks.device import differing_pixels, differing_step, wrong_generators, wrong_workspaces
from harness.data.device_transfer import DeviceTransfer
from harness.data.image_folder import ImageFolder
from harness.data.loader import Loader
from harness.memory.estimate import estimate, traced_tensors
from harness.memory.leaks import bytes_retained
from harness.memory.machine_state import machine_state
from harness.memory.measure import Cell, measure_cell
from harness.training import RunConfig, train
from harness.training.device import full_float32, numerics
from harness.training.out_of_memory import OUT_OF_MEMORY
from reference import get
from tests.data.samples import write_pictures

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS, but there was no current")]
MLP, GRID = "mlp-gan-mnist", "idl-wgan-gp-grid"


@pytest.fixture
def card() -> torch.device:
    if not torch.cuda.is_available():
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
        pytest.skip("cards are hidden from tests: run with -m gpu" if hidden else "there is no GPU here")
    return torch.device("cuda", 0)


def test_a_training_has_the_same_bits_twice_and_after_resuming(card: torch.device, tmp_path: Path) -> None:
    def config(steps: int) -> RunConfig:
        return RunConfig(
            GRID, 0, 32, device=str(card), steps=steps, tensorboard=False, pictures=False, checkpoint_every=3
        )

    first, again = (train(config(6), tmp_path / name).digests for name in ("first", "again"))
    train(config(3), tmp_path / "resumed")
    assert first == again == train(config(6), tmp_path / "resumed", resume=True).digests


def test_bits_do_not_depend_on_what_the_process_did_before(card: torch.device, tmp_path: Path) -> None:
    """Autograd's thread of the device numbers the nodes that it makes, and a gradient penalty's order follows them."""
    config = RunConfig(GRID, 0, 32, device=str(card), steps=3, tensorboard=False, pictures=False)
    before = train(config, tmp_path / "before").digests
    start, seed = (torch.ones(1, device=card, requires_grad=True) for _ in range(2))
    chain = start
    for _ in range(1000):
        chain = chain.view(1)
    for _ in range(100):
        torch.autograd.grad(chain, start, seed, create_graph=True)
    assert train(config, tmp_path / "after").digests == before


def test_generators_pixels_and_workspaces(card: torch.device) -> None:
    assert wrong_generators(card) == []
    assert differing_pixels(card) == 0
    assert wrong_workspaces(card) == ""
    with torch.random.fork_rng([card]), numerics(card, deterministic=True, threads=None):
        assert differing_step(get(GRID), 32, card) == ""


def test_epochs_reserve_no_more_memory(card: torch.device, tmp_path: Path) -> None:
    data = ImageFolder(write_pictures(tmp_path / "pictures", 64, 64, 64), (3, 64, 64), (-1.0, 1.0))
    delivery, reserved = DeviceTransfer(data, card), []
    with Loader(data, pin_memory=True) as loader:
        for _ in range(34):
            for _ in delivery.batches(loader.stored([torch.arange(64)] * 3)):
                pass
            reserved.append(torch.cuda.memory_reserved(card))
    # A block is free again once the card is done with it: how many wait for that is chance. A stream for each epoch
    # would have reserved thirty times as much.
    assert reserved[-1] <= 3 * reserved[0], reserved


def test_tensors_are_those_of_the_estimate_and_workspaces_come_on_top(card: torch.device) -> None:
    found = measure_cell(Cell(MLP, 100, str(card), steps=3))
    assert found.ended == ""
    assert found.tensors is not None
    assert found.peak_allocated is not None
    assert found.tensors == pytest.approx(estimate(get(MLP), 100).tensors, rel=0.02)
    assert found.peak_allocated >= found.tensors - 2**20
    assert traced_tensors(get(MLP), 100, card) == pytest.approx(found.tensors, rel=0.001)


def test_running_out_is_called_that_and_over_in_the_next_cell(card: torch.device) -> None:
    before, out, after = (measure_cell(Cell(MLP, n, str(card), steps=2, traced=False)) for n in (8, 10**9, 8))
    assert out.ended.startswith(OUT_OF_MEMORY)
    assert before.ended == after.ended == ""
    assert before.peak_allocated == after.peak_allocated


def test_no_step_holds_on_to_memory(card: torch.device) -> None:
    early, late = bytes_retained(get(GRID), 8, (4, 8), card)
    assert early == late


def test_the_driver_tells_the_cards_state(card: torch.device) -> None:
    state = machine_state(card)
    if not state.figures:
        pytest.skip(state.missing)
    assert state.figures["sm_clock_max_mhz"] >= state.figures["sm_clock_mhz"] > 0


def test_full_float32_is_the_cpus_up_to_rounding(card: torch.device) -> None:
    random = torch.Generator().manual_seed(0)
    image, weight = torch.randn(4, 64, 16, 16, generator=random), torch.randn(64, 64, 3, 3, generator=random)
    expected = torch.conv2d(image.double(), weight.double())
    with full_float32():
        seen = torch.conv2d(image.to(card), weight.to(card)).cpu().double()
    assert float((seen - expected).abs().max() / expected.abs().max()) < 1e-5, "TF32 is off by 1e-3"
