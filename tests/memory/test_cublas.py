"""Workspaces as each version of PyTorch handles them, and what the estimate of every reference makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from harness.memory.caching_allocator import occupy
from harness.memory.cublas import Workspaces, through_lt
from harness.memory.estimate import estimate
from harness.memory.storage_tracer import COUNTERS, WORKSPACES, trace_fake_step
from harness.memory.timeline import bytes_held, peak
from reference import get, specs

MIB = 2**20
CONFIG = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
KEPT, GIVEN_BACK = Workspaces.of("2.11.0+cu130", CONFIG), Workspaces.of("2.15.0+cu132", CONFIG)


@pytest.mark.parametrize(
    ("version", "environ", "kept"),
    [
        ("2.9.1", {}, True),
        ("2.11.0+cu130", {}, True),
        ("2.14.1", {}, True),
        ("2.15.0+cu132", {}, False),
        ("2.15.1", {"TORCH_CUBLAS_WORKSPACE_CACHE": "1"}, True),
        ("2.15.1", {"TORCH_CUBLAS_WORKSPACE_CACHE": "0"}, False),
        ("2.16.0", {}, False),
        ("3.0.0", {}, False),
        ("2.11.0", {"TORCH_CUBLAS_WORKSPACE_CACHE": "0"}, True),
        ("2.15.0a0+git1234", {}, False),
        ("2.15.0rc1", {}, False),
        ("2.14.0.dev20260801", {}, True),
    ],
)
def test_the_version_says_whether_workspaces_are_kept(version: str, environ: dict[str, str], kept: bool) -> None:
    found = Workspaces.of(version, environ)
    assert found.kept == kept
    assert found.version == version.partition("+")[0]
    assert ("kept" in found.described) == kept


@pytest.mark.parametrize(
    ("config", "size"),
    [(":4096:8", 32 * MIB), (":4096:2:16:8", 8 * MIB + 128 * 1024), (":16:8", 128 * 1024), (":0:0", 0), ("", 0)],
)
def test_a_workspace_is_as_large_as_the_environment_says(config: str, size: int) -> None:
    assert Workspaces.of("2.15.0", {"CUBLAS_WORKSPACE_CONFIG": config}).cublas == size


def test_without_a_setting_workspaces_have_pytorchs_size() -> None:
    found = Workspaces.of("2.15.0", {})
    assert (found.cublas, found.lt) == (8 * MIB + 128 * 1024, MIB)
    assert Workspaces.of("2.11.0", {"CUBLASLT_WORKSPACE_SIZE": "4096"}).lt == 4 * MIB
    assert Workspaces.of("2.11.0", {"TORCH_CUBLASLT_UNIFIED_WORKSPACE": "1"}).lt == 0


@pytest.mark.parametrize(
    ("operator", "shapes", "kwargs", "lt"),
    [
        ("addmm", [(5,), (3, 4), (4, 5)], {}, True),
        ("addmm", [(1,), (3, 4), (4, 1)], {}, False),
        ("addmm", [(5,), (3, 1), (1, 5)], {}, False),
        ("addmm", [(3, 5), (3, 4), (4, 5)], {}, False),
        ("addmm", [(5,), (3, 4), (4, 5)], {"beta": 0.5}, False),
        ("_addmm_activation", [(5,), (3, 4), (4, 5)], {}, True),
        ("mm", [(3, 4), (4, 5)], {}, False),
    ],
)
def test_products_with_a_bias_vector_go_to_cublaslt(
    operator: str, shapes: Sequence[tuple[int, ...]], kwargs: dict[str, float], lt: bool
) -> None:
    args = [torch.empty(shape) for shape in shapes]
    assert through_lt(operator, args, kwargs) == lt
    assert GIVEN_BACK.taken_by(operator, args, kwargs) == (MIB if lt else 32 * MIB)
    assert KEPT.taken_by(operator, args, kwargs) == 0
    assert GIVEN_BACK.kept_from(operator, args, kwargs) == {}
    brought = {"cuBLAS": (32 * MIB, 32 * MIB)} | ({"cuBLASLt": (MIB,)} if lt else {})
    assert KEPT.kept_from(operator, args, kwargs) == brought


def test_what_is_no_product_takes_none() -> None:
    args = [torch.empty(3, 3)]
    assert GIVEN_BACK.taken_by("convolution", args, {}) == 0
    assert KEPT.kept_from("convolution", args, {}) == {}


@pytest.mark.parametrize("spec", [spec for spec in specs() if "@" not in spec])
def test_every_estimate_is_tensors_and_the_workspaces_that_the_version_keeps(spec: str) -> None:
    """As 2.11 and as 2.15 would have it; convolutional systems, which have no product, are the same in both."""
    reference = get(spec)
    reduced = reference.card.reduced
    reference = get(f"{spec}@{reduced}") if reduced else reference
    batch = min(2, reference.card.batch_size)
    old = estimate(reference, batch, KEPT)

    followed = trace_fake_step(reference, batch, as_on_cuda=True, workspaces=GIVEN_BACK)
    followed = followed.without(followed.of_kind(COUNTERS))
    spaces = followed.of_kind(WORKSPACES)
    sizes = {event.size for event in followed.events if event.storage in spaces and event.size > 0}
    assert sizes <= {MIB, 32 * MIB}
    tensors, new = peak(followed.without(spaces)).size, occupy(followed)
    assert old.tensors == tensors

    kept = (64 * MIB if sizes else 0) + (MIB if MIB in sizes else 0)
    assert old.parts.get(WORKSPACES, 0) == kept
    rounding = 0.02 * tensors + 2 * MIB  # a block may be up to a MiB larger than what it was asked for
    assert 0 <= old.peak_allocated - kept - tensors <= rounding
    assert abs(old.between_steps - new.between_steps - kept) <= 2 * MIB, "2.15 keeps none"
    assert tensors <= new.peak_allocated <= tensors + max(sizes, default=0) + rounding
    if not sizes:
        assert old.peak_allocated == new.peak_allocated


def test_a_workspace_that_is_given_back_counts_beside_its_product_alone() -> None:
    timeline = trace_fake_step(get("mlp-gan-mnist"), 4, as_on_cuda=True, workspaces=GIVEN_BACK)
    spaces = timeline.of_kind(WORKSPACES)
    events = [event for event in timeline.events if event.storage in spaces]
    assert events
    assert bytes_held(events) == 0
    for taken, back in zip(events[::2], events[1::2], strict=True):
        assert taken.storage == back.storage
        assert taken.size == -back.size in (MIB, 32 * MIB)
