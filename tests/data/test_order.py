from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.data.order import BLOCK, blocks_of, decided_window, epoch_order, memory_limit


def order_of(samples: int, window: int, seed: int = 0) -> torch.Tensor:
    return epoch_order(samples, window, torch.Generator().manual_seed(seed))


@given(st.integers(0, 5000), st.integers(0, 6000), st.integers(0, 3))
def test_every_sample_comes_once_and_the_same_seed_gives_the_same_order(samples: int, window: int, seed: int) -> None:
    order = order_of(samples, window, seed)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(samples))
    assert torch.equal(order_of(samples, window, seed), order)


@given(st.integers(1, 3000), st.integers(0, 2**62))
def test_without_a_window_it_is_pytorchs_permutation(samples: int, seed: int) -> None:
    expected = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    for window in (0, samples, samples + 1):
        assert torch.equal(order_of(samples, window, seed), expected)


@given(st.integers(2, 4000), st.integers(1, 3000))
def test_windows_of_whole_blocks_follow_each_other(samples: int, window: int) -> None:
    if window >= samples:
        return
    blocks = (order_of(samples, window) // BLOCK).tolist()
    taken = blocks_of(window)
    left = set(range(-(-samples // BLOCK)))
    while blocks:
        # The blocks of a window: so many samples that as many blocks are used up, the short last one among them or not.
        now = set(blocks[:1])
        size = 0
        while len(now) < min(taken, len(left)) or size < sum(min(BLOCK, samples - b * BLOCK) for b in now):
            now.add(blocks[size])
            size += 1
        assert len(now) == min(taken, len(left))
        assert now <= left
        assert sorted(blocks[:size]) == sorted(b for b in now for _ in range(min(BLOCK, samples - b * BLOCK)))
        left -= now
        blocks = blocks[size:]
    assert not left


def test_within_a_window_samples_are_mixed_and_windows_are_drawn_anew() -> None:
    orders = [order_of(4096, 512, seed) for seed in (0, 1)]
    assert not torch.equal(*orders)
    for order in orders:
        first = order[:512] // BLOCK
        assert 100 < int((first[:256] == first[0]).sum()) < 156, "half of them are of either block"
    assert {int(block) for block in orders[0][:512] // BLOCK} != {int(block) for block in orders[1][:512] // BLOCK}


def test_drawing_an_order_leaves_the_global_state_alone() -> None:
    before = torch.random.get_rng_state()
    order_of(1000, 256)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("window", "blocks"), [(1, 1), (255, 1), (256, 1), (257, 2), (512, 2), (513, 3)])
def test_a_window_has_whole_blocks(window: int, blocks: int) -> None:
    assert blocks_of(window) == blocks


@pytest.mark.parametrize(
    ("samples", "shape", "memory", "window"),
    [
        (1000, (3, 64, 64), 2 * 1000 * 12288, 0),  # exactly half
        (1000, (3, 64, 64), 2 * 1000 * 12288 - 2, 256),  # a sixteenth of so little memory holds no block: one at least
        (10**6, (3, 64, 64), 2 * 10**6 * 12288 - 2, 21760),  # 256 MiB hold 85 blocks of 3 MiB
        (10**5, (3, 64, 64), 2 * 10**9, 9984),  # and a sixteenth of 2 GB 39
        (1000, (3, 64, 64), 2 * 1000 * 12288 + 2, 0),
        (10, (3, 512, 512), 1, 256),  # 256 MiB hold one block of 192 MiB
        (10, (3, 1024, 1024), 1, 256),  # and not one of 768 MiB: one at least
        (0, (3, 64, 64), 0, 0),
    ],
)
def test_the_window_follows_from_the_size(samples: int, shape: tuple[int, ...], memory: int, window: int) -> None:
    assert decided_window(samples, shape, memory) == window


def test_the_limit_is_that_of_this_process() -> None:
    assert 2**28 < memory_limit() < 2**50
    assert decided_window(1, (3, 64, 64)) == 0
    assert decided_window(2**40, (3, 64, 64)) > 0
