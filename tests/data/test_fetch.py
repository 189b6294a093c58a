"""Downloads against a server on this machine: what arrives is whole, and whatever goes wrong is one line."""

from __future__ import annotations

import gc
import gzip
import hashlib
import http.server
import io
import shutil
import sys
import threading
import types
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torchvision.datasets import MNIST, CelebA

from harness.data.fetch import DOWNLOADS, fetch
from harness.data.mnist import FOLDER, Mnist

# torchvision leaves the connection of an answer that it refuses to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `content` by path; of what is in `cut`, half of what it announces."""

    content: ClassVar[dict[str, bytes]] = {}
    cut: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name not in self.content:
            self.send_error(404)
            return
        whole = self.content[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole[: len(whole) // 2] if name in self.cut else whole)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server; what it serves is `Files.content`, and no proxy stands between."""
    monkeypatch.setattr(Files, "content", {})
    monkeypatch.setattr(Files, "cut", set())
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()
        thread.join()
    gc.collect()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


@pytest.fixture
def published(server: str, mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small files in the place of MNIST's, with their own checksums."""
    for file in (mnist_root / FOLDER).iterdir():
        Files.content[f"{file.name}.gz"] = gzip.compress(file.read_bytes())
    monkeypatch.setattr(MNIST, "mirrors", [server])
    monkeypatch.setattr(MNIST, "resources", [(name, md5(content)) for name, content in Files.content.items()])
    return server


def refused(name: str, root: Path | None, said: str) -> None:
    """One line, and nothing is left."""
    before = sorted(root.rglob("*")) if root else []
    with pytest.raises(ValueError, match=said) as caught:
        fetch(name, root)
    assert "\n" not in str(caught.value)
    assert (sorted(root.rglob("*")) if root else []) == before


@pytest.mark.usefixtures("published")
def test_mnist_arrives_where_it_is_read(tmp_path: Path) -> None:
    place = fetch("mnist", tmp_path / "root")
    assert place == tmp_path / "root" / "MNIST" / "raw"
    assert len(Mnist(tmp_path / "root", (784,), (0, 1))) == 40
    assert len(Mnist(tmp_path / "root", (784,), (0, 1), "test")) == 10
    refused("mnist", tmp_path / "root", "MNIST/raw is there already: nothing is fetched")


def test_a_second_mirror_is_asked(published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "mirrors", [f"{published}no/such/", "http://127.0.0.1:1/", published])
    Files.content = {name: content for name, content in Files.content.items() if name != "no"}
    assert fetch("mnist", tmp_path / "root").is_dir()


def test_what_goes_wrong_is_one_line_and_leaves_nothing(
    published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    name = "t10k-labels-idx1-ubyte.gz"
    Files.cut.add(name)
    refused("mnist", root, f"mnist can't be fetched: {published}{name}: .*; nothing of it is kept")
    Files.cut.clear()
    whole = Files.content.pop(name)
    refused("mnist", root, "HTTP Error 404")
    Files.content[name] = whole[:-1] + b"x"
    refused("mnist", root, "not found or corrupted")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:1/"])
    refused("mnist", root, "Connection refused")


def test_weights_are_checked_by_their_names_and_go_where_torch_hub_keeps_them(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    content = b"weights" * 1000
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr("harness.data.fetch.PGAN_URL", f"{server}{name}")
    kept = tmp_path / "hub" / "hub" / "checkpoints"
    for wrong, said in ((None, "HTTP Error 404"), (content[:-1], "invalid hash value")):
        if wrong is not None:
            Files.content[name] = wrong
        with pytest.raises(ValueError, match=f"pgan can't be fetched: {said}"):
            fetch("pgan", None)
        assert list(kept.iterdir()) == []
    Files.content[name] = content
    Files.cut.add(name)
    with pytest.raises(ValueError, match="pgan can't be fetched"):
        fetch("pgan", None)
    assert list(kept.iterdir()) == []
    Files.cut.clear()
    assert fetch("pgan", None) == kept / name
    assert (kept / name).read_bytes() == content
    with pytest.raises(ValueError, match="is there already"):
        fetch("pgan", None)


def test_lsun_is_unpacked_and_a_cut_archive_is_no_data_set(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.data.fetch.LSUN_URL", f"{server}bedroom.zip")
    root = tmp_path / "root"
    root.mkdir()
    Files.content["bedroom.zip"] = zipped(bedroom_train_lmdb__data_mdb=b"pages" * 100, bedroom_train_lmdb__lock_mdb=b"")
    Files.cut.add("bedroom.zip")
    refused("lsun", root, "lsun can't be fetched")
    Files.cut.clear()
    place = fetch("lsun", root)
    assert sorted(file.name for file in place.iterdir()) == ["data_mdb", "lock_mdb"]


def test_celeba_comes_by_gdown_with_its_attributes(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setitem(sys.modules, "gdown", None)
    refused("celeba", root, "'gdown' is required")

    def download(id: str, output: str, **_: object) -> None:
        with urllib.request.urlopen(f"{server}{id}") as stream, Path(output).open("wb") as file:
            shutil.copyfileobj(stream, file)

    monkeypatch.setitem(sys.modules, "gdown", types.SimpleNamespace(download=download))
    Files.content = {"1": zipped(img_align_celeba__1_jpg=b"a picture"), "2": b"attributes"}
    files = [
        ("1", md5(Files.content["1"]), "img_align_celeba.zip"),
        ("2", md5(b"other"), "list_attr_celeba.txt"),
        ("3", "", "identity_CelebA.txt"),
    ]
    monkeypatch.setattr(CelebA, "file_list", files)
    refused("celeba", root, "not found or corrupted")
    monkeypatch.setattr(CelebA, "file_list", [files[0], ("2", md5(b"attributes"), files[1][2]), files[2]])
    place = fetch("celeba", root)
    found = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    assert found == {"img_align_celeba/1_jpg", "list_attr_celeba.txt"}


def test_wrong_use_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is called 'cifar'; there are: mnist, celeba, lsun, inception"):
        fetch("cifar", tmp_path)
    with pytest.raises(ValueError, match="name a data root with --data-root or GAN_HARNESS_DATA"):
        fetch("mnist", None)


def test_everything_has_its_terms_and_published_checksums() -> None:
    assert all(download.terms and download.what for download in DOWNLOADS.values())
    for name in ("inception", "vgg19", "pgan"):
        place = DOWNLOADS[name].place(None)
        assert place.parent == Path(torch.hub.get_dir()) / "checkpoints"
        assert len(place.stem.rpartition("-")[2]) == 8
