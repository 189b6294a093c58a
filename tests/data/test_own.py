from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset

from harness.data import Loader, open_data
from harness.data.dataset import held_out_from
from harness.data.own import OwnDataset, own_data
from harness.data.registry import data_root
from reference import Card

POINTS = torch.arange(12.0).view(6, 2)
CARD = Card(name="mine", data_shape=(2,), batch_size=2, epochs=1, data_range=(-1.0, 1.0))
PICTURES = Card(name="pictures", data_shape=(3, 4, 5), batch_size=2, epochs=1, data_range=(-1.0, 1.0), classes=3)


class Listed:
    """Items as they are, by index."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


class Drawing(Listed):
    """Noise on every reading, as a random transform makes it."""

    def __getitem__(self, index: int) -> Tensor:
        item: Tensor = self.items[index]
        return item + torch.rand(())


class Streaming(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(POINTS)


@dataclass(frozen=True)
class Mine:
    """A reference, as far as data go."""

    make: Callable[[Path | None], Any]
    card: ClassVar[Card] = CARD

    def data(self, root: Path | None) -> Any:
        return self.make(root)


def opened(make: Callable[[Path | None], Any], root: Path | None = None) -> OwnDataset:
    mine: Any = Mine(make)
    return own_data(mine, root)


def test_tensors_come_as_they_are() -> None:
    data = opened(lambda _: TensorDataset(POINTS, torch.arange(6)))
    batch = data[torch.tensor([4, 0])]
    assert torch.equal(batch.data, POINTS[[4, 0]])
    assert batch.labels is not None
    assert batch.labels.tolist() == [4, 0]
    assert data.in_memory
    assert data.real
    assert data.title == "TensorDataset of mine"
    assert opened(lambda _: TensorDataset(POINTS))[torch.tensor([1])].labels is None


def test_pictures_and_bytes_are_scaled_to_the_cards_range() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[1, 2] = (255, 51, 0)
    by_picture = OwnDataset(Listed((Image.fromarray(pixels), 2)), PICTURES)[torch.tensor([0])]
    by_bytes = OwnDataset(Listed((torch.from_numpy(pixels).permute(2, 0, 1), np.int64(2))), PICTURES)[torch.tensor([0])]
    assert by_picture.data.shape == (1, 3, 4, 5)
    assert by_picture.data[0, :, 1, 2].tolist() == pytest.approx([1.0, -0.6, -1.0])
    assert torch.equal(by_picture.data, by_bytes.data)
    assert by_picture.labels is not None
    assert by_picture.labels.tolist() == [2]


def test_a_grey_picture_under_a_card_of_a_plane() -> None:
    card = Card(name="grey", data_shape=(4, 5), batch_size=1, epochs=1, data_range=(0.0, 1.0))
    grey = Image.new("L", (5, 4), 255)
    assert torch.equal(OwnDataset(Listed(grey), card)[torch.tensor([0])].data, torch.ones(1, 4, 5))


def test_the_fingerprint_follows_content_alone() -> None:
    known = opened(lambda _: TensorDataset(POINTS)).fingerprint
    assert opened(lambda _: Listed(*POINTS)).fingerprint == known, "how they are kept plays no part"
    one = POINTS.clone()
    one[3, 1] += 1e-3
    others = (POINTS.flip(0), one, POINTS[:5])
    assert len({known, *(opened(lambda _, o=o: TensorDataset(o)).fingerprint for o in others)}) == 4  # type: ignore[misc]
    labelled = [opened(lambda _, k=k: TensorDataset(POINTS, torch.full((6,), k))).fingerprint for k in (0, 1)]  # type: ignore[misc]
    assert len({known, *labelled}) == 3


def test_data_of_ones_own_may_say_what_was_held_out() -> None:
    items = Listed(*POINTS)
    assert OwnDataset(items, CARD).held_out is None
    items.held_out = Listed(*POINTS[:2])  # type: ignore[attr-defined]
    others = held_out_from(OwnDataset(items, CARD))
    assert others is not None
    assert len(others) == 2


def test_workers_read_the_same() -> None:
    data = opened(lambda _: Listed(*POINTS))
    chunks = [torch.tensor([5, 1]), torch.tensor([0, 3])]
    with Loader(data, workers=2) as loader:
        read = [batch.data for batch in loader.stored(chunks)]
    assert all(torch.equal(one, POINTS[chunk]) for one, chunk in zip(read, chunks, strict=True))


def test_the_data_root_is_handed_on(tmp_path: Path) -> None:
    seen: list[Path | None] = []

    def make(root: Path | None) -> Listed:
        seen.append(root)
        return Listed(*POINTS)

    opened(make, tmp_path)
    assert set(seen) == {tmp_path}
    with pytest.raises(ValueError, match="holds none of"):
        data_root(tmp_path)
    assert data_root(tmp_path, own=True) == tmp_path


def test_the_global_random_state_is_left_alone() -> None:
    def make(_: Path | None) -> TensorDataset:
        torch.manual_seed(3)
        return TensorDataset(torch.randn(6, 2))

    torch.manual_seed(7)
    before = torch.get_rng_state()
    opened(make)
    assert torch.equal(torch.get_rng_state(), before)


def unsorted() -> Callable[[Path | None], Listed]:
    calls = iter(range(9))
    return lambda _: Listed(*(POINTS if next(calls) % 2 else POINTS.flip(0)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: Listed(), "data() of mine returns a data set of length 0"),
        (lambda _: Streaming(), "returns a Streaming: it takes a map-style data set"),
        (lambda _: iter(POINTS), "it takes a map-style data set, with __len__ and __getitem__"),
        (lambda _: None, "returns a NoneType"),
        (lambda _: 1 / 0, "data() of mine fails: ZeroDivisionError: division by zero"),
        (lambda _: TensorDataset(torch.randn(6, 2)), "gives other items when it is called again"),
        (unsorted(), "gives other items when it is called again: fix their order"),
        (
            lambda _: Listed(POINTS[0], POINTS[1], torch.zeros(3)),
            "item 2 of the data of mine has shape (3,); data_shape",
        ),
        (lambda _: Listed(POINTS[0].double()), "item 0 of the data of mine holds torch.float64: it takes float32"),
        (lambda _: Listed(POINTS[0], torch.zeros(2, dtype=torch.uint8)), "holds torch.uint8, item 0 torch.float32"),
        (lambda _: Listed(POINTS[0], (POINTS[1], 3)), "item 1 of the data of mine has a label, unlike item 0"),
        (lambda _: Listed((POINTS[0], 1.5)), "item 0 of the data of mine has the label 1.5: it takes a whole number"),
        (lambda _: Listed((POINTS[0], 1, 2)), "has 3 parts: it takes the data, or (data, label)"),
        (lambda _: Listed({"image": POINTS[0]}), "holds a dict: it takes a tensor, an array or a Pillow picture"),
        (lambda _: Listed(torch.full((2,), torch.nan)), "holds values that aren't finite"),
        (lambda _: {0: POINTS[0], 2: POINTS[1]}, "item 1 of the data of mine can't be had: KeyError: 1"),
        (lambda _: Drawing(*POINTS), "gives other items when it is called again"),
    ],
)
def test_what_cannot_be_used_is_one_line(make: Callable[[Path | None], Any], said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        _ = opened(make).fingerprint
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_items_that_change_from_reading_to_reading_are_found() -> None:
    with pytest.raises(ValueError, match="item 0 of the data of mine isn't the same when it is read again"):
        _ = OwnDataset(Drawing(*POINTS), CARD).fingerprint


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ((Image.new("RGB", (4, 4)), 0), "item 0 of the data of pictures is a picture of 4×4; data_shape says 3×4×5"),
        ((torch.full((3, 4, 5), 2.0), 0), "has values from 2 to 2; data_range of pictures is -1 to 1"),
        ((torch.zeros(3, 4, 5), 3), "has the label 3; the card of pictures knows 0 to 2"),
        ((torch.zeros(3, 4, 5), -1), "has the label -1"),
    ],
)
def test_pictures_that_do_not_fit_their_card(item: Any, said: str) -> None:
    with pytest.raises(ValueError, match="of pictures") as error:
        OwnDataset(Listed(item), PICTURES)
    assert said in str(error.value)


def test_a_card_without_data_and_data_beside_a_named_set() -> None:
    class Without:
        card = CARD

    class Both(Mine):
        card = Card(name="both", data_shape=(2,), batch_size=2, epochs=1, dataset="mnist")

    without: Any = Without()
    both: Any = Both(lambda _: Listed(*POINTS))
    with pytest.raises(ValueError, match="names no dataset, and the reference has no data"):
        open_data(without, None)
    with pytest.raises(ValueError, match="has data\\(root\\), and its card names the dataset 'mnist': leave one out"):
        open_data(both, None)
