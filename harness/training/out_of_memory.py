"""How running out of memory sounds: PyTorch's allocators, cuBLAS and cuDNN each say it in words of their own."""

from __future__ import annotations

import torch

OUT_OF_MEMORY = "out of memory"
TOO_LARGE = "too large for PyTorch's kernels"
_PLAIN = ("out of memory", "can't allocate memory")
_SURELY = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
# Said where memory is short; and where a kernel is missing or a library broken, which a small batch tells apart.
_PERHAPS = ("CUDNN_STATUS_NOT_INITIALIZED", "unable to find an engine to execute this computation")
# A batch of more than 2³¹ values in one tensor: it doesn't fit, though not for want of memory.
_INDICES = ("integer out of range", "canUse32BitIndexMath", "too large to be represented")
# What a card says that somebody else has, or that this PyTorch can't use; not what a kernel does wrong.
_UNUSABLE = (
    "busy or unavailable",
    "no kernel image",
    "driver version is insufficient",
    "no CUDA-capable device",
    "uncorrectable ECC",
    "invalid device ordinal",
    "initialization error",
    "unknown error",
)


def how_it_ran_out(error: BaseException) -> str | None:
    """What kept a step from fitting, in words that begin alike for memory; None for any other error."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return OUT_OF_MEMORY
    if not isinstance(error, RuntimeError):
        return None
    said = _first_line(error)
    if any(words in str(error) for words in _PLAIN):
        return OUT_OF_MEMORY
    if any(words in str(error) for words in (*_SURELY, *_PERHAPS)):
        return f"{OUT_OF_MEMORY}: {said[:160]}"
    if any(words in str(error) for words in _INDICES):
        return f"{TOO_LARGE}: {said[:160]}"
    return None


def does_not_fit(ended: str, *, surely: bool) -> bool:
    """Whether a cell ended because its batch was too large.

    Args:
        ended: its own words, which begin with those of `how_it_ran_out`.
        surely: take only what can't mean anything else, as for a batch that ought to fit.
    """
    if not ended.startswith((OUT_OF_MEMORY, TOO_LARGE)):
        return False
    return not (surely and any(words in ended for words in _PERHAPS))


def device_trouble(error: BaseException) -> str | None:
    """In one line for whoever started a command, why a GPU can't be used, or has too little memory; else None."""
    words = how_it_ran_out(error)
    if words is not None:
        return f"{words}; a smaller --batch-size may fit, which `gan-harness batch-size NAME` finds"
    said = _first_line(error)
    unusable = said.startswith("CUDA error") and any(words in said for words in _UNUSABLE)
    return f"the GPU can't be used: {said}" if unusable else None


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split("\n")[0].split())
