"""What several files of these tests use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.training import RunConfig, train
from tests.processes import call

GAN, MLP = "idl-gan-mnist", "mlp-gan-mnist"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run of two steps on the stand-in."""
    config = RunConfig(
        MLP, seed=0, batch_size=4, steps=2, tensorboard=False, pictures=False, sample_every=0, threads=1, device="cpu"
    )
    train(config, tmp_path / "run")
    return tmp_path / "run"


def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = call(arguments, Path.cwd())
    assert done.returncode == code, done.stdout + done.stderr
    return done


FUNCTIONS = """
import numpy as np
import torch

def floats(n, seed):
    return torch.rand(n, 28, 28, generator=torch.Generator().manual_seed(seed))

def levels(n, seed):
    return floats(n, seed).mul(255).round().byte()

def rows(n, seed):
    return floats(n, seed).flatten(1).numpy()

def signed(n, seed):
    return floats(n, seed) * 2 - 1

def nan(n, seed):
    images = floats(n, seed)
    images[:3, 0, 0] = float("nan")
    return images

def even(n, seed):
    return torch.ones(n, 28, 28) * 0.5

def same(n, seed):
    return floats(1, seed).expand(n, 28, 28)

def larger(n, seed):
    return torch.zeros(n, 1, 32, 32, dtype=torch.uint8)

def two_channels(n, seed):
    return torch.zeros(n, 2, 28, 28)

def raising(n, seed):
    raise RuntimeError("no weights\\nfor this")

def few(n, seed):
    return floats(n - 1, seed)

def listed(n, seed):
    return [[0.0]] * n

def scalar(n, seed):
    return torch.tensor(0.5)

def objects(n, seed):
    return np.array([None] * n)

def complex_numbers(n, seed):
    return floats(n, seed) * 1j

def leaving(n, seed):
    raise SystemExit(0)

def halved(n, seed):
    return floats(n, seed) / 2

def masks(n, seed):
    return (floats(n, seed) > 0.5).to(torch.uint8)

def bright_masks(n, seed):
    return (floats(n, seed) > 0.5).float()

def dark(n, seed):
    return levels(n, seed) // 3

def backwards(n, seed):
    return levels(n, seed).numpy()[::-1][::-1, :, ::-1][:, :, ::-1]

def foreign(n, seed):
    return floats(n, seed).numpy().astype(">f4")

def coloured(n, seed):
    return torch.stack([levels(n, seed + channel) for channel in range(3)], 1)
"""


MODULE = "functions_under_evaluation"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's module in the current folder."""
    (tmp_path / f"{MODULE}.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
