from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import content
from harness.data.content import digest_of, digest_of_files
from harness.data.content_and_style import ContentAndStyle
from harness.data.image_folder import ImageFolder
from harness.data.lsun import Lsun, write_lmdb
from harness.data.mnist import FOLDER as MNIST
from harness.data.mnist import Mnist
from harness.data.pairs import PairedImages
from harness.files.cache import CACHE_VARIABLE, CacheError
from tests.data.samples import encoded, write_pictures
from tests.logs import hearing, progress


def in_secret(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Other bytes, as many as before, with the name and the time of before."""
    before, old = file.stat(), file.read_bytes()
    new = change(old)
    assert len(new) == len(old)
    assert new != old
    file.write_bytes(new)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def last_byte_flipped(old: bytes) -> bytes:
    return old[:-1] + bytes([old[-1] ^ 1])


def folder_of(root: Path) -> tuple[Path, Callable[[], str]]:
    folder = write_pictures(root / "pictures", 3)
    return folder / "00001.png", lambda: ImageFolder(folder, (3, 8, 8), (-1, 1)).fingerprint


def pairs_of(root: Path) -> tuple[Path, Callable[[], str]]:
    folder = write_pictures(root / "pairs", 3, 16, 8)
    return folder / "00001.png", lambda: PairedImages(folder, (3, 8, 8), (-1, 1)).fingerprint


def style_of(root: Path) -> tuple[Path, Callable[[], str]]:
    folder = root / "style"
    folder.mkdir()
    for name in ("content", "style"):
        (folder / f"{name}.png").write_bytes(encoded(1) + b"1")  # what follows a PNG's end isn't looked at
    return folder / "style.png", lambda: ContentAndStyle(folder, (3, 8, 8), (-1, 1)).fingerprint


def database_of(root: Path) -> tuple[Path, Callable[[], str]]:
    pictures = [encoded(index) for index in range(3)]
    write_lmdb(root / "db", ((b"%d" % index, value) for index, value in enumerate(pictures)))
    return root / "db" / "data.mdb", lambda: Lsun(root / "db", (3, 8, 8), (-1, 1)).fingerprint


def idx_of(root: Path) -> tuple[Path, Callable[[], str]]:
    return root / "data" / MNIST / "train-images-idx3-ubyte", lambda: Mnist(root / "data", (784,), (0, 1)).fingerprint


@pytest.mark.usefixtures("mnist_root")
@pytest.mark.parametrize("make", [folder_of, pairs_of, style_of, idx_of])
def test_other_bytes_under_the_same_name_size_and_time_are_other_data(
    make: Callable[[Path], tuple[Path, Callable[[], str]]], tmp_path: Path
) -> None:
    file, fingerprint = make(tmp_path)
    before = fingerprint()
    os.utime(file, ns=(10**18, 10**18))
    assert fingerprint() == before, "another time is no other content"
    in_secret(file, last_byte_flipped)
    assert fingerprint() != before


def test_a_database_rebuilt_with_other_pictures_under_the_same_keys_is_other_data(tmp_path: Path) -> None:
    _, fingerprint = database_of(tmp_path)
    before = fingerprint()
    shutil.rmtree(tmp_path / "db")
    write_lmdb(tmp_path / "db", ((b"%d" % index, encoded(index)) for index in reversed(range(3))))
    assert fingerprint() == before, "written in another order it lies otherwise and holds the same"
    shutil.rmtree(tmp_path / "db")
    write_lmdb(tmp_path / "db", ((b"%d" % index, encoded(index + 10)) for index in range(3)))
    assert fingerprint() != before


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of pictures for which a look at blocks must do; its cache is its own."""
    monkeypatch.setattr(content, "ALWAYS", 0)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return write_pictures(tmp_path / "pictures", 3)


class Reader:
    """Tells what digest it is asked for, and how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self.reads = folder, list[str](), 0

    def __call__(self) -> str:
        def read(counted: content.Counted) -> str:
            self.reads += 1
            return content._all_of(self.files, counted)

        with hearing() as lines:
            digest = digest_of(self.folder, self.files, read)
        self.said += lines
        return digest

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


def test_large_data_are_read_once_and_it_is_said_which(large: Path) -> None:
    reader = Reader(large)
    assert reader() == reader() == digest_of_files(large, reader.files)
    assert reader.reads == 1
    assert reader.said[0] == f"{large}: all of it was read, 0.0 GB; later a look at 64 blocks will do"
    assert reader.said[1].startswith(f"{large}: known since 20")
    assert reader.said[1].endswith("names, sizes, times and 64 blocks are those of then")


def test_what_the_file_system_knows_and_what_it_does_not(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(large)
    before = reader()
    in_secret(large / "00001.png", last_byte_flipped)
    after = reader()
    assert (after != before, reader.reads) == (True, 2), "the entry's own time can't be set back"
    monkeypatch.setattr(content, "stamp_of", lambda _: "a file system that knows nothing")
    blind = reader()
    in_secret(large / "00002.png", lambda old: bytes(255 - value for value in old))
    assert (reader() != blind, reader.reads) == (True, 4), "blocks are looked at"


def test_data_that_change_while_they_are_read_are_refused(large: Path) -> None:
    def read(_: content.Counted) -> str:
        (large / "00001.png").write_bytes(b"other")
        return "x"

    with pytest.raises(ValueError, match="pictures changed while it was read: wait until nobody writes there"):
        digest_of(large, sorted(large.iterdir()), read)


@pytest.mark.parametrize("wrong", ["", "[]", "{}", '{"stamp": 1, "sample": 2}', "\xff"])
def test_a_cache_that_holds_something_else_is_read_over(wrong: str, large: Path, tmp_path: Path) -> None:
    reader = Reader(large)
    before = reader()
    (kept,) = (tmp_path / "cache" / "contents").iterdir()
    kept.write_text(wrong, encoding="latin-1")
    assert (reader(), reader.reads) == (before, 2)


def test_a_cache_that_cannot_be_written_names_what_would_help(large: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CacheError, match=r"cache can't be written: .*; set GAN_HARNESS_CACHE to a folder that can"):
        Reader(large)()


def test_progress_goes_up_to_all_of_it(large: Path) -> None:
    with progress() as heard:
        digest_of_files(large, sorted(large.iterdir()))
    assert {one.what for one in heard} == {f"reading {large} once to know it (MB)"}
    done = [one.done for one in heard]
    assert done == sorted(done)
    assert done[-1] == heard[-1].total


def test_a_file_that_cannot_be_read_has_no_content_and_no_other(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 2)
    files = sorted(folder.iterdir())
    before = digest_of_files(folder, files)
    files[1].unlink()
    files[1].mkdir()
    assert digest_of_files(folder, files) not in (before, digest_of_files(folder, files[:1]))


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.binary(max_size=20), max_size=4))
def test_only_the_same_names_and_bytes_have_the_same_digest(one: list[bytes], other: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        digests = []
        for number, contents in enumerate((one, other)):
            folder = Path(root) / str(number)
            folder.mkdir()
            for index, value in enumerate(contents):
                (folder / str(index)).write_bytes(value)
            digests.append(digest_of_files(folder, sorted(folder.iterdir())))
    assert (digests[0] == digests[1]) == (one == other)
