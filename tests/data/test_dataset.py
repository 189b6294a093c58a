from __future__ import annotations

import threading

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import transforms

from harness.data.dataset import BufferPool, scale_pixels

ALL = torch.arange(256, dtype=torch.uint8)


@given(st.sampled_from([(-1.0, 1.0), (0.0, 1.0)]), st.integers(1, 400))
def test_scaling_has_the_bits_of_the_documents_transforms(value_range: tuple[float, float], repeats: int) -> None:
    expected = transforms.ToTensor()(ALL.view(256, 1, 1).numpy()).view(-1)
    if value_range == (-1.0, 1.0):
        expected = (expected - 0.5) / 0.5
    pixels = ALL.repeat(repeats)
    assert torch.equal(scale_pixels(pixels, value_range), expected.repeat(repeats))
    turned = pixels.view(repeats, 256).t()  # not contiguous
    assert torch.equal(scale_pixels(turned, value_range), expected.repeat(repeats).view(repeats, 256).t())


def test_memory_is_given_again_only_when_nobody_holds_it() -> None:
    memory = BufferPool()
    first = memory.empty((4, 4), np.float32)
    place = first.ctypes.data
    held = torch.from_numpy(first).view(-1)[3:]
    del first
    second = memory.empty((4, 4), np.float32)
    assert second.ctypes.data != place
    del held
    assert memory.empty((4, 4), np.float32).ctypes.data == place
    assert memory.empty((4, 4), np.uint8).dtype == np.uint8
    assert memory.empty((2, 8), np.float32).shape == (2, 8)


def test_what_is_held_is_never_written_over_whatever_is_asked_for_meanwhile() -> None:
    memory = BufferPool()
    wrong: list[int] = []

    def fill(number: int) -> None:
        kept: list[torch.Tensor] = []
        for turn in range(200):
            tensor = scale_pixels(torch.full((7,), number, dtype=torch.uint8), (0.0, 1.0), memory)
            kept = [*kept, tensor][-(1 + turn % 5) :]
            wrong.extend(number for one in kept if not torch.equal(one, torch.full((7,), number).float() / 255))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    first, again = ({memory.empty((7,), np.float32).ctypes.data for _ in range(100)} for _ in range(2))
    assert first == again
