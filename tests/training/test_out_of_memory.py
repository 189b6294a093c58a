"""Every way in which running out of memory is said, as released binaries have it, and what isn't that."""

from __future__ import annotations

import pytest
import torch

from harness.training.out_of_memory import OUT_OF_MEMORY, device_trouble, does_not_fit, how_it_ran_out

NO_ENGINE = "{} was unable to find an engine to execute this computation"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
        RuntimeError(NO_ENGINE.format("GET")),
        RuntimeError(NO_ENGINE.format("FIND")),
        RuntimeError("cuFFT: out of memory"),
    ],
)
def test_running_out_of_memory_is_known_by_its_words(error: Exception) -> None:
    found = how_it_ran_out(error)
    assert found is not None
    assert found.startswith(OUT_OF_MEMORY)
    assert "\n" not in found


@pytest.mark.parametrize("said", ["integer out of range", "Expected canUse32BitIndexMath(input) to be true"])
def test_a_batch_beyond_32_bits_does_not_fit_either(said: str) -> None:
    found = how_it_ran_out(RuntimeError(f"{said}\nmore"))
    assert found == f"too large for PyTorch's kernels: {said}"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
        KeyError("out of memory"),
        ValueError("out of memory"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
    ],
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert how_it_ran_out(error) is None


def test_what_a_gpu_cannot_do_is_one_line_for_a_user() -> None:
    busy = "CUDA error: all CUDA-capable devices are busy or unavailable\nCUDA kernel errors might be asynchronously"
    assert device_trouble(RuntimeError(busy)) == (
        "the GPU can't be used: CUDA error: all CUDA-capable devices are busy or unavailable"
    )
    found = device_trouble(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert found is not None
    assert found.startswith(OUT_OF_MEMORY)
    assert "batch-size" in found
    assert device_trouble(RuntimeError("shapes cannot be multiplied")) is None


@pytest.mark.parametrize("said", ["device-side assert triggered", "an illegal memory access was encountered"])
def test_what_a_kernel_does_wrong_keeps_its_traceback(said: str) -> None:
    assert device_trouble(RuntimeError(f"CUDA error: {said}\nmore")) is None


@pytest.mark.parametrize("said", [NO_ENGINE.format("GET"), "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"])
def test_a_batch_that_ought_to_fit_and_finds_no_engine_is_no_answer(said: str) -> None:
    """A kernel that is missing, or a broken library, sounds like that as well."""
    ended = how_it_ran_out(RuntimeError(said))
    assert ended is not None
    assert does_not_fit(ended, surely=False)
    assert not does_not_fit(ended, surely=True)
    assert does_not_fit(OUT_OF_MEMORY, surely=True)
    assert does_not_fit(f"{OUT_OF_MEMORY}: CUBLAS_STATUS_ALLOC_FAILED", surely=True)
    assert not does_not_fit("its step fails: KeyError", surely=False)
