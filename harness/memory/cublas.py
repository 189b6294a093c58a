"""What matrix products take from PyTorch's CUDA allocator beside tensors: the workspaces of cuBLAS and cuBLASLt.

Up to PyTorch 2.14 the first product of each thread takes one of each library's and keeps it; from 2.15 on every product
takes one and gives it back, unless TORCH_CUBLAS_WORKSPACE_CACHE is 1 (CublasHandlePool.cpp; the strings in the released
binaries of 2.11 and 2.15 agree, those of 2.12 to 2.14 were not looked at).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

WORKSPACE_CACHE_VARIABLE = "TORCH_CUBLAS_WORKSPACE_CACHE"
_GIVEN_BACK_SINCE = (2, 15)
# Products run in the thread of the forward pass and in autograd's; in deterministic mode the first runs both, and there
# is one workspace where the estimate counts two.
_THREADS = 2
_KIB, _MIB = 2**10, 2**20
_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "_addmm_activation"}


@dataclass(frozen=True)
class Workspaces:
    """One workspace of cuBLAS and one of cuBLASLt, bytes, as a version of PyTorch handles them.

    `kept` says that they stay allocated from the first product on; otherwise each product gives its own back.
    """

    version: str
    kept: bool
    cublas: int
    lt: int

    @classmethod
    def of(cls, version: str = torch.__version__, environ: Mapping[str, str] = os.environ) -> Workspaces:
        """Those of a PyTorch version under these environment variables."""
        release = tuple(int(number) for number in re.findall(r"\d+", version)[:2])  # a pre-release is its release
        kept = release < _GIVEN_BACK_SINCE or environ.get(WORKSPACE_CACHE_VARIABLE) == "1"
        pairs = re.findall(r":(\d+):(\d+)", environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8"))
        lt = environ.get("CUBLASLT_WORKSPACE_SIZE", "")
        unified = environ.get("TORCH_CUBLASLT_UNIFIED_WORKSPACE") == "1"  # cuBLASLt then works in cuBLAS' own
        return cls(
            version.partition("+")[0],
            kept,
            sum(int(kib) * _KIB * int(count) for kib, count in pairs),
            0 if unified else int(lt) * _KIB if lt.isdecimal() else _MIB,
        )

    def taken_by(self, operator: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
        """Bytes that an operator takes while it runs, where they are given back; 0 for one that is no product."""
        if self.kept or operator not in _PRODUCTS:
            return 0
        return self.lt if self.lt and through_lt(operator, args, kwargs) else self.cublas

    def kept_from(self, operator: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """What an operator brings to stay, by library, if it is the first to do so; nothing where all is given back."""
        if not self.kept or operator not in _PRODUCTS:
            return {}
        brought = {"cuBLAS": (self.cublas,) * _THREADS} if self.cublas else {}
        if self.lt and through_lt(operator, args, kwargs):
            brought["cuBLASLt"] = (self.lt,)
        return brought

    @property
    def described(self) -> str:
        """In one line, for a protocol."""
        how = f"{_THREADS} kept" if self.kept else "taken and given back by each product"
        return f"{self.cublas / _MIB:g} MiB, {how}"


def through_lt(operator: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether PyTorch hands a product to cuBLASLt: one with a bias vector, as of a layer with several outputs."""
    if operator not in ("addmm", "_addmm_activation") or len(args) < 3:
        return False
    bias, second = args[0], args[2]
    if not (isinstance(bias, Tensor) and isinstance(second, Tensor)) or bias.dim() != 1 or kwargs.get("beta", 1) != 1:
        return False
    return second.shape[0] > 1 and second.shape[1] > 1
