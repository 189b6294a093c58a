from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.data import batches, batches_per_epoch
from reference import Batch


class Numbers:
    """0, 1, 2, …; complains about one of them."""

    title, real, fingerprint, in_memory = "numbers", True, "n", True

    def __init__(self, n: int, broken: int = -1) -> None:
        self.n, self.broken = n, broken

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, indices: Tensor) -> Batch:
        if (indices == self.broken).any():
            raise ValueError(f"number {self.broken} can't be read")
        return Batch(indices.float())


@given(st.integers(1, 50), st.integers(1, 60), st.booleans(), st.integers(0, 5))
def test_batches_follow_the_order(n: int, size: int, drop_last: bool, skip: int) -> None:
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    got = [b.data.long().tolist() for b in batches(Numbers(n), order, size, drop_last=drop_last, seed=0, skip=skip)]
    expected = [order[i : i + size].tolist() for i in range(0, n, size)]
    if drop_last and len(expected[-1]) < size:
        expected.pop()
    assert got == expected[skip:]
    assert batches_per_epoch(n, size, drop_last=drop_last) == len(expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing_and_global_random_state_stays(workers: int) -> None:
    order = torch.randperm(23, generator=torch.Generator().manual_seed(0))
    before = torch.random.get_rng_state()
    got = torch.cat([b.data for b in batches(Numbers(23), order, 4, drop_last=False, seed=0, workers=workers)])
    assert torch.equal(got.long(), order)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_complaints_arrive_as_they_were_made(workers: int) -> None:
    with pytest.raises(ValueError, match=r"^number 7 can't be read$"):
        list(batches(Numbers(10, broken=7), torch.arange(10), 3, drop_last=False, seed=0, workers=workers))
