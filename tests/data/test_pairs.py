from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import batches
from harness.data.pairs import FOLDER, PairedImages, write_drawn_pairs

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def pair(folder: Path, name: str, left: Image.Image, right: Image.Image) -> None:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    folder.mkdir(parents=True, exist_ok=True)
    both.save(folder / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Left: a marked gradient; right: its negative. So a crop or a mirror of one shows in the other."""
    for index in range(4):
        ramp = np.add.outer(np.arange(64), 2 * np.arange(64) + 7 * index) % 256
        left = Image.fromarray(np.repeat(ramp[..., None], 3, 2).astype(np.uint8))
        pair(tmp_path, f"{index}.png", left, Image.eval(left, lambda value: 255 - value))
    return tmp_path


def test_the_left_half_is_the_condition_and_swapping_turns_it_round(folder: Path) -> None:
    data = PairedImages(folder, (3, 64, 64), (-1, 1))
    batch = data[torch.arange(4)]
    assert batch.condition is not None
    assert torch.allclose(batch.condition, -batch.data, atol=1e-6)
    swapped = PairedImages(folder, (3, 64, 64), (-1, 1), swapped=True)[torch.arange(4)]
    assert swapped.condition is not None
    assert torch.equal(swapped.condition, batch.data)
    assert torch.equal(swapped.data, batch.condition)
    assert data.fingerprint != PairedImages(folder, (3, 64, 64), (-1, 1), swapped=True).fingerprint


def test_jitter_moves_and_mirrors_both_halves_alike(folder: Path) -> None:
    data = PairedImages(folder, (3, 64, 64), (-1, 1))
    indices = torch.zeros(40, dtype=torch.int64)
    batch = data.draw(indices, seed=1)
    assert batch.condition is not None
    assert (batch.condition + batch.data).abs().max() < 0.06, "resizing rounds, nothing else may differ"
    assert len({tuple(image.flatten().tolist()) for image in batch.data}) > 20
    rising = (batch.condition[:, 0, :, 1:] > batch.condition[:, 0, :, :-1]).float().mean((1, 2)) > 0.5
    assert 8 < int(rising.sum()) < 32, "about half are mirrored"
    again = data.draw(indices, seed=1)
    assert torch.equal(again.data, batch.data)
    assert not torch.equal(data.draw(indices, seed=2).data, batch.data)


def test_workers_jitter_the_same(folder: Path) -> None:
    data = PairedImages(folder, (3, 32, 32), (-1, 1))
    order = torch.tensor([2, 0, 3, 1])
    runs = [
        torch.cat([b.data for b in batches(data, order, 1, drop_last=False, seed=seed, workers=workers)])
        for seed, workers in ((5, 0), (5, 2), (6, 0))
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    skipped = torch.cat([b.data for b in batches(data, order, 1, drop_last=False, seed=5, skip=2)])
    assert torch.equal(skipped, runs[0][2:]), "a resumed epoch jitters as an unbroken one"


def test_jitter_leaves_the_global_random_state_alone(folder: Path) -> None:
    before = torch.random.get_rng_state()
    PairedImages(folder, (3, 32, 32), (-1, 1)).draw(torch.arange(2), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("size", "message"),
    [((65, 32), "65 pixels wide: an odd width"), ((64, 64), "isn't a pair: 64×64"), ((32, 64), "isn't a pair: 32×64")],
)
def test_what_is_no_pair_is_named(tmp_path: Path, size: tuple[int, int], message: str) -> None:
    Image.new("RGB", size).save(tmp_path / "single.png")
    data = PairedImages(tmp_path, (3, 32, 32), (-1, 1))
    with pytest.raises(ValueError, match=rf"single\.png.*{message}"):
        data[torch.tensor([0])]
    with pytest.raises(ValueError, match="single"):
        data.draw(torch.tensor([0]), 0)


def test_shapes_and_folders_are_checked(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"as \(3, S, S\), not as \(1, 64, 64\)"):
        PairedImages(folder, (1, 64, 64), (-1, 1))
    with pytest.raises(ValueError, match="isn't a folder"):
        PairedImages(tmp_path / "none", (3, 64, 64), (-1, 1))


def test_drawn_pairs_are_an_outline_and_its_face(tmp_path: Path) -> None:
    write_drawn_pairs(tmp_path, 3, seed=0)
    batch = PairedImages(tmp_path / FOLDER, (3, 256, 256), (0, 1))[torch.arange(3)]
    assert batch.condition is not None
    ink = (batch.condition < 0.5).float().mean((1, 2, 3))
    assert ((ink > 0.01) & (ink < 0.3)).all(), "lines on white"
    grey = batch.data.mean(1)
    steps = (grey[:, :, 1:] - grey[:, :, :-1]).abs()
    drawn = batch.condition[:, 0, :, 1:] < 0.5
    assert steps[drawn].mean() > 5 * steps[~drawn].mean(), "the lines lie where the face changes tone"
