from __future__ import annotations

import io
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from harness.data import batches
from harness.data.lsun import FOLDER, Lsun, write_lmdb

ORDER = torch.tensor([3, 0, 2, 1, 4])


def encoded(index: int, kind: str = "JPEG") -> bytes:
    random = np.random.default_rng(index)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (90, 120, 3), np.uint8)).save(buffer, format=kind)
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_lmdb(tmp_path / FOLDER, ((f"key{index}".encode(), encoded(index)) for index in range(5)))
    return tmp_path


# torchvision never closes the file that it writes its list of keys into.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_pictures_have_the_bits_of_the_documents_pipeline(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # torchvision writes a list of keys into the working folder
    documented = datasets.LSUN(
        str(root / "lsun"),
        classes=["bedroom_train"],
        transform=transforms.Compose(
            [
                transforms.Resize(64),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        ),
    )
    expected = torch.stack([documented[int(i)][0] for i in ORDER])
    documented.dbs[0].env.close()
    assert torch.equal(Lsun(root / FOLDER, (3, 64, 64), (-1, 1))[ORDER].data, expected)


def test_workers_and_this_process_read_the_same(root: Path) -> None:
    data = Lsun(root / FOLDER, (3, 32, 32), (-1, 1))
    alone = [b.data for b in batches(data, ORDER, 2, drop_last=False, seed=0)]
    data[ORDER]  # opened here before the workers fork
    together = [b.data for b in batches(data, ORDER, 2, drop_last=False, seed=0, workers=2)]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_webp_as_the_real_set_has_it_is_read(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", [(b"a", encoded(0, "WEBP"))])
    assert Lsun(tmp_path / "db", (3, 16, 16), (0, 1))[torch.tensor([0])].data.shape == (1, 3, 16, 16)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere can't be read as an LMDB"):
        Lsun(tmp_path / "nowhere", (3, 16, 16), (0, 1))
    write_lmdb(tmp_path / "empty", [])
    with pytest.raises(ValueError, match="empty is empty"):
        Lsun(tmp_path / "empty", (3, 16, 16), (0, 1))
    write_lmdb(tmp_path / "text", [(b"good", encoded(0)), (b"novel", b"Call me Ishmael.")])
    data = Lsun(tmp_path / "text", (3, 16, 16), (0, 1))
    data[torch.tensor([0])]
    with pytest.raises(ValueError, match="text, key novel can't be read as an image"):
        data[torch.tensor([1])]
    (tmp_path / "text" / "data.mdb").write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match="can't be read as an LMDB"):
        data[torch.tensor([0])]


def test_the_fingerprint_changes_with_the_keys(root: Path) -> None:
    before = Lsun(root / FOLDER, (3, 16, 16), (0, 1)).fingerprint
    with lmdb.open(str(root / FOLDER), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"one more", encoded(9))
    assert Lsun(root / FOLDER, (3, 16, 16), (0, 1)).fingerprint != before
