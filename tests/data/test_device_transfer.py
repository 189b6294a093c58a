from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.data.dataset import scale_pixels, scaled
from harness.data.device_transfer import DeviceTransfer, looked_up
from harness.data.image_folder import ImageFolder
from harness.data.loader import Loader, chunks_of
from harness.data.mixtures import MixtureData
from harness.data.pairs import PairedImages
from reference import Batch
from tests.data.samples import write_pictures

CPU = torch.device("cpu")


@pytest.mark.parametrize("workers", [0, 1])
def test_on_the_cpu_delivered_batches_are_the_scaled_ones(workers: int, tmp_path: Path) -> None:
    data = ImageFolder(write_pictures(tmp_path / "pictures", 5), (3, 8, 8), (-1.0, 1.0))
    chunks = list(chunks_of(torch.tensor([4, 1, 1, 0, 2]), 2, drop_last=False))
    with Loader(data, workers=workers) as loader:
        stored = list(loader.stored(chunks))
        got = list(DeviceTransfer(data, CPU).batches(loader.stored(chunks)))
    assert [batch.data.dtype for batch in stored] == [torch.uint8] * 3
    for batch, pixels, chunk in zip(got, stored, chunks, strict=True):
        assert torch.equal(batch.data, data[chunk].data)
        assert torch.equal(batch.data, scaled(pixels, (-1.0, 1.0)).data)
        assert batch.data.dtype == torch.float32


def test_what_is_no_picture_or_scaled_already_is_delivered_as_it_is(tmp_path: Path) -> None:
    grid = MixtureData("gaussian-grid")
    pairs = PairedImages(write_pictures(tmp_path / "pairs", 3, 16, 8), (3, 8, 8), (-1.0, 1.0))
    for data in (grid, pairs):
        with Loader(data) as loader:
            (raw,) = loader.stored([torch.arange(3)], seed=5)
            (got,) = DeviceTransfer(data, CPU).batches(loader.stored([torch.arange(3)], seed=5))
        assert torch.equal(got.data, raw.data)
        assert got.data.dtype == torch.float32


def test_labels_and_conditions_come_along(tmp_path: Path) -> None:
    data = ImageFolder(write_pictures(tmp_path / "pictures", 2), (3, 8, 8), (-1.0, 1.0))
    batch = Batch(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2), torch.ones(2, 1))
    (got,) = DeviceTransfer(data, CPU).batches([batch])
    assert got.labels is batch.labels
    assert got.condition is batch.condition


@given(st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-1, 1), (0, 1), (-0.5, 2.0)]), st.integers(1, 3), st.booleans())
def test_scaling_has_the_bits_of_the_documents_transforms(
    value_range: tuple[float, float], n: int, turned: bool
) -> None:
    """ToTensor divides by 255; Normalize with mean and deviation 0.5 subtracts and divides."""
    pixels = torch.arange(256, dtype=torch.uint8).repeat(n * 3).view(n, 3, 16, 16)
    if turned:
        pixels = pixels.permute(0, 1, 3, 2)
    expected = pixels.float().div(255)
    if value_range == (-1, 1):
        expected = expected.sub(0.5).div(0.5)
    elif value_range != (0, 1):
        expected = expected.mul(2.5).sub(0.5)
    assert torch.equal(scale_pixels(pixels, value_range), expected)


@pytest.mark.parametrize("n", [1, 98_303, 98_304, 98_305, 200_000])
def test_scaling_in_pieces_leaves_none_out(n: int) -> None:
    pixels = torch.randint(256, (n,), generator=torch.Generator().manual_seed(0)).byte()
    assert torch.equal(scale_pixels(pixels, (-1.0, 1.0)), pixels.float().div(255).mul(2).sub(1))
    assert torch.equal(scale_pixels(pixels, (0.0, 1.0)), pixels.float().div(255))


class Card:
    """As much of torch.cuda as a delivery asks for, on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams = 0
        monkeypatch.setattr(torch.cuda, "Stream", self.stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _: self)
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_: tensor)
        monkeypatch.setattr(Batch, "to", lambda batch, *_: batch)

    def stream(self, _: torch.device) -> Card:
        self.streams += 1
        return self

    def wait_stream(self, _: object) -> None: ...


def test_all_epochs_of_a_run_share_one_copy_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's allocator keeps what a stream gave back for that stream: a new one an epoch grows for 32 epochs."""
    data = ImageFolder(write_pictures(tmp_path / "pictures", 5), (3, 8, 8), (-1.0, 1.0))
    card = Card(monkeypatch)
    delivery = DeviceTransfer(data, torch.device("cuda", 0))
    for _ in range(3):
        with Loader(data) as loader:
            (got,) = delivery.batches(loader.stored([torch.arange(5)]))
        assert torch.equal(got.data, data[torch.arange(5)].data), "looked up, the bits are the CPU's"
    assert card.streams == 1


@given(st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-0.5, 2.0)]), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_looking_pixels_up_gives_the_bits_of_scaling_them(value_range: tuple[float, float], shape: list[int]) -> None:
    values = scale_pixels(torch.arange(256, dtype=torch.uint8), value_range)
    pixels = torch.randint(256, shape, generator=torch.Generator().manual_seed(0)).byte()
    assert torch.equal(looked_up(values, pixels), scale_pixels(pixels, value_range))
