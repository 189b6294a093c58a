from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from harness.memory.cublas import Workspaces
from harness.memory.estimate import ROUNDING, Estimate, estimate, estimated_tensors
from harness.memory.storage_tracer import COUNTERS, KINDS, OPTIMIZER, WEIGHTS, WORKSPACES
from reference import Reference, get

MIB = 2**20
MLP, DCGAN, CELEBA = "mlp-gan-mnist", "handson-dcgan-mnist", "handson-dcgan-celeba"
SIZES = (1, 2, 16, 128, 1024)


@pytest.fixture(autouse=True)
def the_engines_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(scope="module")
def estimates() -> Callable[[str, int], Estimate]:
    found: dict[tuple[str, int], Estimate] = {}

    def look_up(spec: str, batch_size: int) -> Estimate:
        if (spec, batch_size) not in found:
            found[spec, batch_size] = estimate(get(spec), batch_size)
        return found[spec, batch_size]

    return look_up


@pytest.mark.parametrize("spec", [MLP, DCGAN])
def test_parts_sum_to_the_peak(spec: str, estimates: Callable[[str, int], Estimate]) -> None:
    for size in SIZES:
        found = estimates(spec, size)
        assert found.batch_size == size
        assert sum(found.parts.values()) == found.peak_allocated <= found.peak_reserved
        assert 0 < found.between_steps <= found.peak_allocated
        assert 0 <= found.parts[ROUNDING] < found.peak_allocated / 20
        assert all(amount % 512 == 0 for amount in (found.peak_allocated, found.between_steps))
        assert found.peak_reserved % (2 * MIB) == 0
        assert set(found.parts) <= {*KINDS, ROUNDING}, "counters stay on the CPU"
        assert COUNTERS not in found.parts
        assert found.layer.split(".")[0].split("'")[0] in {"generator", "discriminator"}
        assert found.operator


@pytest.mark.parametrize("spec", [MLP, DCGAN])
def test_what_is_allocated_grows_with_the_batch(spec: str, estimates: Callable[[str, int], Estimate]) -> None:
    found = [estimates(spec, size) for size in SIZES]
    assert all(less.peak_allocated < more.peak_allocated for less, more in pairwise(found))
    assert all(less.between_steps <= more.between_steps for less, more in pairwise(found))
    for part in (WEIGHTS, OPTIMIZER):
        assert len({one.parts[part] for one in found}) == 1, "what doesn't hang on the batch stays"


def test_only_matrix_products_bring_workspaces(estimates: Callable[[str, int], Estimate]) -> None:
    assert estimates(MLP, 16).workspaces == Workspaces.of()
    kept = Workspaces.of("2.11", {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"})
    assert estimate(get(MLP), 16, kept).parts[WORKSPACES] == 65 * MIB
    assert WORKSPACES not in estimates(DCGAN, 16).parts


@pytest.mark.parametrize(("spec", "allocated", "reserved"), [(DCGAN, 1.72, 2.62), (CELEBA, 1.78, None)])
def test_what_an_image_adds(
    spec: str, allocated: float, reserved: float | None, estimates: Callable[[str, int], Estimate]
) -> None:
    few, many = (estimates(spec, size) for size in (128, 2048))
    assert (many.peak_allocated - few.peak_allocated) / 1920 / MIB == pytest.approx(allocated, rel=0.01)
    if reserved is not None:
        assert (many.peak_reserved - few.peak_reserved) / 1920 / MIB == pytest.approx(reserved, rel=0.02)


def test_estimating_twice_gives_the_same(estimates: Callable[[str, int], Estimate]) -> None:
    assert estimate(get(MLP), 16) == estimates(MLP, 16)


@pytest.mark.parametrize("batch_size", [0, -3])
@pytest.mark.parametrize("estimator", [estimate, estimated_tensors])
def test_a_batch_of_less_than_one_is_refused(estimator: Callable[[Reference, int], object], batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"^a batch size must be 1 or more, not {batch_size}$"):
        estimator(get(MLP), batch_size)


def test_tensors_alone_take_less_than_what_the_allocator_hands_out(
    estimates: Callable[[str, int], Estimate],
) -> None:
    found = estimates(DCGAN, 16)
    assert estimated_tensors(get(DCGAN), 16) < found.peak_allocated
