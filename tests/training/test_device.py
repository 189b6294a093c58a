"""Which device, and how it computes: settings of PyTorch's that are left as they were found, and what is refused."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.linalg
import threadpoolctl
import torch

import harness.records.environment
from harness.records.environment import CONVOLUTIONS, PRODUCTS, allocator_settings, environment, float32_precision
from harness.training.device import (
    available_threads,
    check_workspace_variable,
    computed,
    cpu_threads,
    full_float32,
    numerics,
    numerics_of,
    resolve_device,
    unusable_gpu,
    why_no_gpu,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
backends: Any = torch.backends
filling: Any = torch.utils.deterministic


@pytest.fixture(autouse=True)
def own_settings() -> Any:
    """Whatever a test sets of PyTorch's precision is put back."""
    parts = [
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.cuda.matmul,
        backends.mkldnn.conv,
        backends.mkldnn.matmul,
    ]
    before = [part.fp32_precision for part in parts]
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    for part, value in zip(parts, before, strict=True):
        part.fp32_precision = value


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))


def backward_has_its_own_thread() -> bool:
    return bool(torch._C._is_multithreading_enabled())


def settings() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    return (
        cudnn.benchmark,
        cudnn.deterministic,
        torch.get_deterministic_debug_mode(),
        filling.fill_uninitialized_memory,
        torch.get_num_threads(),
        backward_has_its_own_thread(),
    )


@pytest.mark.parametrize("mode", ["default", "warn", "error"])
@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("deterministic", [True, False])
def test_numerics_leaves_every_setting_as_it_found_it(
    mode: str, filled: bool, device: torch.device, deterministic: bool
) -> None:
    """`warn` is a caller's `use_deterministic_algorithms(True, warn_only=True)`, which a plain flag would lose."""
    torch.set_deterministic_debug_mode(mode)
    filling.fill_uninitialized_memory = filled
    try:
        before = settings()
        with contextlib.suppress(KeyError), numerics(device, deterministic=deterministic, threads=1):
            assert torch.get_num_threads() == 1
            if device == CUDA:
                assert torch.are_deterministic_algorithms_enabled() == deterministic
                assert torch.backends.cudnn.benchmark != deterministic
                assert not filling.fill_uninitialized_memory
                assert backward_has_its_own_thread() != deterministic
            raise KeyError
        assert settings() == before
    finally:
        torch.set_deterministic_debug_mode("default")
        filling.fill_uninitialized_memory = True


def test_threads_are_those_that_there_are_processors_for(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    try:
        for processors, expected in ((1, 1), (2, 2), (8, 3)):
            monkeypatch.setattr("harness.training.device.usable_processors", lambda n=processors: n)
            assert available_threads() == expected
            with numerics(CPU, deterministic=True, threads=None):
                assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("config", [":4096:8", ":16:8"])
def test_workspaces_with_which_cublas_is_deterministic_are_taken(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", config)
    check_workspace_variable()


@pytest.mark.parametrize("config", [":4096:2:16:8", ":0:0", "", "4096", ":4096:8 "])
def test_others_are_refused_before_the_first_product_raises(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", config)
    before = settings()
    with (
        pytest.raises(
            ValueError, match=r"^CUBLAS_WORKSPACE_CONFIG is .*set it to :4096:8 or :16:8, or leave it unset$"
        ),
        numerics(CUDA, deterministic=True, threads=None),
    ):
        pass
    assert settings() == before
    with numerics(CUDA, deterministic=False, threads=None), numerics(CPU, deterministic=True, threads=None):
        pass


def legacy_tf32() -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True


def newer_tf32() -> None:
    backends.cuda.matmul.fp32_precision = "tf32"
    backends.mkldnn.matmul.fp32_precision = "bf16"


def mixed() -> None:
    """What makes PyTorch's older getter raise."""
    backends.cudnn.conv.fp32_precision = "ieee"
    backends.cuda.matmul.fp32_precision = "tf32"


@pytest.mark.usefixtures("ampere")
@pytest.mark.parametrize("prepare", [lambda: None, legacy_tf32, newer_tf32, mixed])
def test_full_float32_rounds_nothing_and_puts_back_what_it_found(prepare: Callable[[], None]) -> None:
    prepare()
    parts = ("cudnn.conv", "cudnn.rnn", "cuda.matmul", "mkldnn.conv", "mkldnn.matmul")

    def state() -> list[str]:
        found = []
        for part in parts:
            room, name = part.split(".")
            found.append(getattr(getattr(backends, room), name).fp32_precision)
        return found

    before = state(), float32_precision(CUDA), float32_precision(CPU)
    with full_float32():
        assert state() == ["ieee"] * 5
        assert float32_precision(CUDA) == {CONVOLUTIONS: "ieee", PRODUCTS: "ieee"} == float32_precision(CPU)
    assert (state(), float32_precision(CUDA), float32_precision(CPU)) == before


@pytest.mark.usefixtures("ampere")
def test_precision_is_what_pytorch_is_set_to() -> None:
    assert float32_precision(CUDA) == {CONVOLUTIONS: "tf32", PRODUCTS: "ieee"}, "PyTorch's default on a card"
    assert float32_precision(CPU) == {CONVOLUTIONS: "ieee", PRODUCTS: "ieee"}
    legacy_tf32()
    assert float32_precision(CUDA)[PRODUCTS] == "tf32"
    torch.set_float32_matmul_precision("medium")
    assert float32_precision(CPU)[PRODUCTS] == "bf16", "this setting touches the CPU as well"
    torch.backends.cudnn.allow_tf32 = False
    assert float32_precision(CUDA)[CONVOLUTIONS] == "ieee"


def test_a_card_before_ampere_has_no_tf32_and_nvidias_override_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert float32_precision(CUDA)[CONVOLUTIONS] == "ieee"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert float32_precision(CUDA)[CONVOLUTIONS] == "tf32"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert float32_precision(CUDA)[CONVOLUTIONS] == "ieee"


@pytest.mark.usefixtures("ampere")
def test_how_a_figure_was_computed_is_said_by_name() -> None:
    assert computed(CPU, deterministic=False)["numerics"] == "deterministic", "a CPU has one way"
    assert computed(CUDA) == {"numerics": "deterministic", CONVOLUTIONS: "tf32", PRODUCTS: "ieee"}
    assert computed(CUDA, deterministic=False)["numerics"] == "as documented (cudnn.benchmark)"
    assert numerics_of(CPU) == ["deterministic"]


def test_the_environment_says_what_moves_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a card")
    monkeypatch.setattr(harness.records.environment, "_driver", lambda: "580")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    facts = environment(CUDA)
    assert facts[CONVOLUTIONS] == "tf32"
    assert facts["matmul_precision"] == "highest"
    assert facts["cudnn_benchmark"] is False
    assert facts["deterministic_algorithms"] is False
    assert facts["allocator"] == allocator_settings() == "PYTORCH_ALLOC_CONF=expandable_segments:True"
    assert "CUBLAS_WORKSPACE_CONFIG=" in facts["cublas"]
    assert environment(CPU)["usable_processors"] >= 1


def test_why_there_is_no_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    assert why_no_gpu() == "CUDA_VISIBLE_DEVICES is empty, which hides every GPU"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(torch.cuda, "init", raising(RuntimeError("No CUDA GPUs are available")))
    assert why_no_gpu() == "CUDA_VISIBLE_DEVICES is '7', and no such GPU can be used: No CUDA GPUs are available"
    old = "The NVIDIA driver on your system is too old (found version 11040). Please update"
    monkeypatch.setattr(torch.cuda, "init", raising(RuntimeError(old)))
    assert why_no_gpu().startswith("the driver is older than this PyTorch's CUDA 13.2 needs: The NVIDIA driver")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "init", raising(RuntimeError("Found no NVIDIA driver on your system.\nmore")))
    assert why_no_gpu() == "Found no NVIDIA driver on your system."
    monkeypatch.setattr(torch.version, "cuda", None)
    assert why_no_gpu().endswith("is built without CUDA")
    with pytest.raises(ValueError, match=r"^the device 'cuda:1' isn't there: this PyTorch .* is built without CUDA$"):
        resolve_device("cuda:1")


def test_a_gpu_beyond_those_that_are_there_is_refused_with_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device("auto") == torch.device("cuda", 0)
    with pytest.raises(ValueError, match=r"^the device 'cuda:2' isn't there: there are 2: cuda:0 to cuda:1$"):
        resolve_device("cuda:2")


def raising(error: Exception) -> Callable[[], None]:
    def init() -> None:
        raise error

    return init


@pytest.mark.usefixtures("ampere")
def test_what_went_along_with_its_whole_still_does_afterwards() -> None:
    """A part that was never set follows `torch.backends.fp32_precision`, before and after somebody looks."""
    backends.cuda.matmul.fp32_precision = "none"  # as if no test before had set it
    backends.fp32_precision = "tf32"
    try:
        with full_float32():
            assert float32_precision(CUDA)[PRODUCTS] == "ieee"
        assert float32_precision(CUDA)[PRODUCTS] == "tf32"
        backends.fp32_precision = "ieee"
        assert float32_precision(CUDA)[PRODUCTS] == "ieee"
    finally:
        backends.fp32_precision = "none"


def test_within_full_float32_pytorchs_older_settings_can_be_read() -> None:
    with full_float32():
        assert torch.backends.cudnn.allow_tf32 is False
        assert torch.get_float32_matmul_precision() == "highest"
        with torch.backends.cudnn.flags(enabled=True):
            pass
    assert torch.backends.cudnn.allow_tf32 is True


def test_no_test_sees_a_card_by_accident(request: pytest.FixtureRequest) -> None:
    if "gpu" in request.config.getoption("markexpr"):
        pytest.skip("cards were asked for")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert torch.cuda.device_count() == 0


def test_a_gpu_that_is_hidden_on_purpose_is_no_matter_and_one_that_cannot_be_used_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert unusable_gpu() == ""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", raising(RuntimeError("No CUDA GPUs are available")))
    assert "no such GPU can be used" in unusable_gpu()


@pytest.mark.parametrize("count", [1, 2])
def test_matrix_products_of_every_library_keep_to_the_threads(count: int) -> None:
    def now() -> set[tuple[str, int]]:
        pools = {(pool["user_api"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()}
        return {*pools, ("torch", torch.get_num_threads())}

    scipy.linalg.norm([1.0])  # its library is loaded by now
    before = now()
    with contextlib.suppress(KeyError), cpu_threads(count):
        assert {threads for kind, threads in now() if kind in ("blas", "torch")} == {count}
        raise KeyError
    assert now() == before
    with cpu_threads(None):
        assert now() == before
