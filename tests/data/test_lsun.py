from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets, transforms

from harness.data import Loader, batches
from harness.data.lsun import FOLDER, Lsun, write_lmdb
from harness.data.synthetic import draw_into

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


def noise(index: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(index).integers(0, 256, (20, 24, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def opened_in_a_process(folder: Path) -> tuple[int | None, str]:
    """Open and read all of it elsewhere, where a crash ends nothing: the exit code, and what was said."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        try:
            data = Lsun(folder, (3, 8, 8), (-1, 1))
            send.send(f"read {len(data.pixels(torch.arange(len(data))).data)}")
        except ValueError as error:
            send.send(str(error))
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(30)
    process.kill()
    return process.exitcode, receive.recv() if receive.poll() else ""


def test_cut_off_anywhere_is_an_error_and_no_crash(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", ((b"key%d" % index, noise(index) * 5) for index in range(5)))
    file = tmp_path / "db" / "data.mdb"
    content = file.read_bytes()
    assert opened_in_a_process(tmp_path / "db") == (0, "read 5")
    page = 4096
    for size in (
        0,
        1,
        100,
        page - 1,
        page,
        page + 1,
        page + 200,
        2 * page,
        3 * page,
        len(content) // 2,
        len(content) - page,
        len(content) - 1,
    ):
        file.write_bytes(content[:size])
        code, said = opened_in_a_process(tmp_path / "db")
        assert code == 0, f"a process that opened the first {size} bytes ended with {code}"
        assert str(tmp_path / "db") in said, f"{size}: {said}"
        assert "read" not in said.split() or "can't be read as an LMDB" in said


def test_cut_off_while_it_is_in_use_is_an_error_and_no_crash(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", ((b"key%d" % index, noise(index) * 5) for index in range(5)))
    data = Lsun(tmp_path / "db", (3, 8, 8), (-1, 1))
    for workers in (0, 1):
        with Loader(data, workers=workers) as loader:
            assert len(list(loader.stored([torch.arange(5)]))) == 1
            content = (tmp_path / "db" / "data.mdb").read_bytes()
            os.truncate(tmp_path / "db" / "data.mdb", len(content) // 2)
            with pytest.raises(ValueError, match=r"db/data\.mdb is cut off: it has .* bytes and speaks of"):
                list(loader.stored([torch.arange(5)]))
            (tmp_path / "db" / "data.mdb").write_bytes(content)


def test_a_database_open_in_a_process_that_may_write_is_refused_and_named(root: Path) -> None:
    ready, done = multiprocessing.Event(), multiprocessing.Event()

    def hold() -> None:
        with lmdb.open(str(root / FOLDER), map_size=1 << 24):
            ready.set()
            done.wait(30)

    process = multiprocessing.get_context("fork").Process(target=hold)
    data = Lsun(root / FOLDER, (3, 8, 8), (-1, 1))
    process.start()
    try:
        assert ready.wait(30)
        message = rf"bedroom_train_lmdb is locked: process {process.pid} has it open and may be writing"
        with pytest.raises(ValueError, match=message):
            Lsun(root / FOLDER, (3, 8, 8), (-1, 1))
        with pytest.raises(ValueError, match=message):
            data[ORDER]
    finally:
        done.set()
        process.join()
    assert len(data[ORDER].data) == 5, "the lock file that is left is no lock"


def test_readers_do_not_lock_each_other_out(root: Path) -> None:
    data = Lsun(root / FOLDER, (3, 8, 8), (-1, 1))
    with Loader(data, workers=2) as loader:
        reading = loader.stored([ORDER] * 6)
        next(reading)
        assert opened_in_a_process(root / FOLDER) == (0, "read 5")
        assert torch.equal(next(reading).data, data.pixels(ORDER).data)
        assert len(list(reading)) == 4


def test_a_database_that_changes_under_a_worker_is_read_as_it_is_now(root: Path) -> None:
    data = Lsun(root / FOLDER, (3, 8, 8), (-1, 1))
    before = data.pixels(ORDER).data
    with Loader(data, workers=1) as loader:
        assert torch.equal(next(loader.stored([ORDER])).data, before)
        with lmdb.open(str(root / FOLDER), map_size=1 << 24) as environment, environment.begin(write=True) as writing:
            writing.put(b"key3", noise(77))
        (got,) = loader.stored([ORDER])
        assert torch.equal(got.data[1:], before[1:])
        assert not torch.equal(got.data[0], before[0])
        assert torch.equal(got.data, data.pixels(ORDER).data)
        with lmdb.open(str(root / FOLDER), map_size=1 << 24) as environment, environment.begin(write=True) as writing:
            writing.delete(b"key3")
        with pytest.raises(ValueError, match="bedroom_train_lmdb, key key3 has gone since the database was opened"):
            list(loader.stored([ORDER]))


def test_other_layouts_are_named(tmp_path: Path) -> None:
    single = lmdb.open(str(tmp_path / "single"), map_size=1 << 24, subdir=False)
    with single, single.begin(write=True) as writing:
        writing.put(b"a", noise(0))
    with pytest.raises(ValueError, match="single can't be read as an LMDB: Not a directory"):
        Lsun(tmp_path / "single", (3, 8, 8), (0, 1))
    with lmdb.open(str(tmp_path / "several"), map_size=1 << 24, max_dbs=2) as environment:
        inner = environment.open_db(b"bedrooms")
        with environment.begin(write=True, db=inner) as writing:
            writing.put(b"a", noise(0))
    with pytest.raises(ValueError, match="several, key bedrooms can't be read as an image"):
        Lsun(tmp_path / "several", (3, 8, 8), (0, 1))[torch.tensor([0])]
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="folder can't be read as an LMDB: No such file"):
        Lsun(tmp_path / "folder", (3, 8, 8), (0, 1))
    write_lmdb(tmp_path / "hollow", [(b"a", b"")])
    with pytest.raises(ValueError, match="hollow, key a can't be read as an image"):
        Lsun(tmp_path / "hollow", (3, 8, 8), (0, 1))[torch.tensor([0])]


def test_databases_in_which_much_was_overwritten_are_whole(tmp_path: Path) -> None:
    """Pages that are free again are part of the file, or aren't counted: none is taken for cut off."""
    random = np.random.default_rng(0)
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 26) as environment:
        for _ in range(6):
            with environment.begin(write=True) as writing:
                for key in random.integers(0, 20, 40):
                    writing.put(b"%d" % key, noise(0) * int(random.integers(1, 9)))
                    writing.delete(b"%d" % random.integers(0, 20))
                writing.put(b"20", noise(0))
            with environment.begin() as reading:
                n = reading.stat()["entries"]
            environment.sync()
    assert opened_in_a_process(tmp_path / "db") == (0, f"read {n}")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_torchvision_reads_what_the_command_drew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = draw_into(tmp_path, "lsun-like", 3, 0)
    assert folder == tmp_path / FOLDER
    documented = datasets.LSUN(
        str(tmp_path / "lsun"),
        classes=["bedroom_train"],
        transform=transforms.Compose([transforms.Resize(64), transforms.CenterCrop(64), transforms.ToTensor()]),
    )
    expected = torch.stack([documented[index][0] for index in range(3)])
    documented.dbs[0].env.close()
    assert torch.equal(Lsun(folder, (3, 64, 64), (0, 1))[torch.arange(3)].data, expected)
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as reading:
        for key, value in reading.cursor():
            assert len(bytes(key)) == 40
            with Image.open(io.BytesIO(value)) as image:
                assert (image.format, min(image.size)) == ("WEBP", 256)
