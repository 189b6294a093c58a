from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from harness.data.image_folder import ATTRIBUTES, FOLDER, ImageFolder, read_attributes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(5):
        picture = Image.fromarray(random.integers(0, 256, (218, 178, 3), np.uint8))
        picture.resize((178, 218)).save(folder / f"{index:06d}.jpg")
    return tmp_path


def test_images_have_the_bits_of_the_documents_pipeline(root: Path) -> None:
    documented = datasets.ImageFolder(
        str(root / "celeba"),
        transforms.Compose(
            [
                transforms.Resize(64),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        ),
    )
    ours = ImageFolder(root / FOLDER, (3, 64, 64), (-1, 1))
    order = torch.tensor([4, 0, 2])
    assert torch.equal(ours[order].data, torch.stack([documented[i][0] for i in order.tolist()]))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"img_align_celeba isn't a folder"):
        ImageFolder(tmp_path / FOLDER, (3, 64, 64), (-1, 1))
    (tmp_path / FOLDER).mkdir(parents=True)
    with pytest.raises(ValueError, match=r"img_align_celeba holds no images"):
        ImageFolder(tmp_path / FOLDER, (3, 64, 64), (-1, 1))


@pytest.mark.parametrize("content", [b"not a jpeg", b""])
def test_a_corrupt_image_is_named_when_it_is_read(root: Path, content: bytes) -> None:
    broken = root / FOLDER / "000002.jpg"
    broken.write_bytes(content)
    data = ImageFolder(root / FOLDER, (3, 64, 64), (-1, 1))
    data[torch.tensor([0, 1])]
    with pytest.raises(ValueError, match=r"000002\.jpg can't be read as an image"):
        data[torch.tensor([2])]


def test_a_truncated_image_is_named(root: Path) -> None:
    file = root / FOLDER / "000003.jpg"
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"000003\.jpg can't be read as an image"):
        ImageFolder(root / FOLDER, (3, 64, 64), (-1, 1))[torch.tensor([3])]


def test_the_fingerprint_follows_the_files(root: Path) -> None:
    before = ImageFolder(root / FOLDER, (3, 64, 64), (-1, 1)).fingerprint
    (root / FOLDER / "000004.jpg").unlink()
    assert ImageFolder(root / FOLDER, (3, 64, 64), (-1, 1)).fingerprint != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two\nMale\n", "line 1: expected the number"),
        ("2\nMale Smiling\na.jpg 1 -1\n", "announces 2 images and lists 1"),
        ("1\nMale Smiling\na.jpg 1\n", "line 3: expected a file name and 2 values"),
        ("1\nMale Smiling\na.jpg 1 0\n", "line 3: expected"),
    ],
)
def test_malformed_attribute_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / ATTRIBUTES.name
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_attributes(path)


@pytest.mark.parametrize(("before", "after"), [("\ufeff", ""), ("", "\n"), ("", "\n \n\n"), ("\ufeff", "\r\n")])
def test_what_editors_leave_in_attribute_files_is_no_damage(before: str, after: str, tmp_path: Path) -> None:
    text = "2\nSmiling Male\n1.jpg 1 -1\n2.jpg -1 1\n"
    (tmp_path / "plain.txt").write_text(text, encoding="utf-8")
    (tmp_path / "edited.txt").write_text(f"{before}{text}{after}", encoding="utf-8")
    plain, edited = (read_attributes(tmp_path / name) for name in ("plain.txt", "edited.txt"))
    assert (plain.names, plain.files, plain.values.tolist()) == (edited.names, edited.files, edited.values.tolist())
