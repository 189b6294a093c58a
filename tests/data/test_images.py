from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import Image

from harness.data.image_folder import ImageFolder
from harness.data.images import Framing, UnreadablePictureError, picture_files, pixels, read_rgb
from harness.evaluation.images import read_images
from tests.data.samples import encoded, picture, write_pictures


def png(depth: int, colour: int, extra: bytes = b"") -> bytes:
    """A PNG by hand: Pillow doesn't write all that it reads."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" + bytes(range(8 * channels * depth // 8))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(row * 8))
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    return saved(picture(0), kind, save_all=True, append_images=[picture(1), picture(2)])


REFUSED = {
    "black and white.png": (saved(picture(0).convert("1"), "PNG"), "it is black and white, and three channels"),
    "grey.png": (saved(picture(0).convert("L"), "PNG"), "it is grey, and three channels"),
    "grey.jpg": (saved(picture(0).convert("L"), "JPEG"), "it is grey, and three channels"),
    "grey and alpha.png": (saved(picture(0).convert("LA"), "PNG"), "it is grey, and three channels"),
    "ink.jpg": (saved(picture(0).convert("CMYK"), "JPEG"), "its colours are CMYK"),
    "deep grey.png": (png(16, 0), "more than 8 bits a channel"),
    "deep colour.png": (png(16, 2), "more than 8 bits a channel"),
    "deep grey and alpha.png": (png(16, 4), "more than 8 bits a channel"),
    "deep colour and alpha.png": (png(16, 6), "more than 8 bits a channel"),
    "moving.webp": (animated("WEBP"), "it is animated, 3 pictures in one"),
    "moving.png": (animated("PNG"), "it is animated, 3 pictures in one"),
    "moving palette.png": (animated("GIF"), "it is animated, 3 pictures in one"),
    "text.jpg": (b"Call me Ishmael.", "can't be read as an image"),
    "nothing.webp": (b"", "can't be read as an image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_converting_would_change_without_a_word_is_refused_by_name(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    data = ImageFolder(tmp_path, (3, 8, 8), (-1, 1))
    with pytest.raises(UnreadablePictureError, match=message) as caught:
        data[torch.tensor([0])]
    assert str(caught.value).startswith(f"{tmp_path / name} can't be read as an image: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.png", saved(picture(3), "PNG")),
        ("see-through.png", saved(picture(3).convert("RGBA"), "PNG")),
        ("lossless.webp", saved(picture(3), "WEBP", lossless=True)),
        ("see-through.webp", saved(picture(3).convert("RGBA"), "WEBP", lossless=True)),
    ],
)
def test_what_holds_the_same_pixels_gives_the_same_pixels(name: str, content: bytes) -> None:
    assert torch.equal(pixels(read_rgb(io.BytesIO(content), name)), pixels(picture(3)))


def test_a_palette_is_looked_up() -> None:
    colours = np.array([[200, 30, 7], [9, 80, 255]], np.uint8)
    chosen = np.arange(12 * 15).reshape(15, 12) % 2
    image = Image.fromarray(chosen.astype(np.uint8), "P")
    image.putpalette(colours.tobytes())
    read = read_rgb(io.BytesIO(saved(image, "PNG")), "palette")
    assert np.array_equal(np.array(read), colours[chosen])
    with pytest.raises(UnreadablePictureError, match="palette can't be read as an image: it is transparent in places"):
        read_rgb(io.BytesIO(saved(image, "PNG", transparency=1)), "palette")


def test_transparency_hides_colours_and_is_refused() -> None:
    whole = picture(0).convert("RGBA")
    assert np.array_equal(np.array(read_rgb(io.BytesIO(saved(whole, "PNG")), "whole")), np.array(picture(0)))
    holed = whole.copy()
    holed.putpixel((3, 4), (255, 0, 0, 254))
    for kind in ("PNG", "WEBP"):
        with pytest.raises(UnreadablePictureError, match=r"transparent in places, .*; flatten it to RGB"):
            read_rgb(io.BytesIO(saved(holed, kind, lossless=True)), "holed")
    masked = saved(picture(0), "PNG", transparency=tuple(picture(0).getpixel((0, 0))))  # type: ignore[arg-type]
    with pytest.raises(UnreadablePictureError, match="transparent in places"):
        read_rgb(io.BytesIO(masked), "one colour is see-through")
    grey = picture(0).convert("LA")
    grey.putpixel((0, 0), (9, 0))
    with pytest.raises(UnreadablePictureError, match="transparent in places"):
        read_rgb(io.BytesIO(saved(grey, "PNG")), "grey", grey=True)


def test_one_picture_in_the_format_of_animations_is_no_animation() -> None:
    for kind in ("WEBP", "PNG"):
        read_rgb(io.BytesIO(saved(picture(0), kind, save_all=True)), kind)


def attempt(content: bytes) -> tuple[Image.Image, str]:
    """A picture and "", or how it was refused, by its name."""
    try:
        return read_rgb(io.BytesIO(content), "some.xyz"), ""
    except UnreadablePictureError as error:
        said = str(error)
    assert said.startswith("some.xyz can't be read as an image: ")
    return picture(0), said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_cut_off_anywhere_is_refused_unless_no_pixel_is_lost(kind: str) -> None:
    content = encoded(0, kind)
    whole = pixels(read_rgb(io.BytesIO(content), "whole"))
    refused = 0
    for end in range(0, len(content), 3):
        read, said = attempt(content[:end])
        assert said or torch.equal(pixels(read), whole), end
        refused += bool(said)
    assert refused > len(content) // 3 - 12, "a PNG's last 22 bytes hold no pixel"


@pytest.mark.filterwarnings("ignore")  # Pillow's own, of damaged parts that it can do without
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_bytes_give_a_picture_or_a_refusal_and_nothing_else(kind: str) -> None:
    content, random = encoded(0, kind), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), random.choice([1, 8])):
            damaged[place] = random.integers(0, 256)
        read, said = attempt(bytes(damaged))
        assert said or read.mode == "RGB"


@pytest.mark.parametrize(("most", "refused"), [(180, False), (179, True), (89, True)])
def test_too_many_pixels_are_refused(most: int, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above Pillow's limit it only warns, and above twice the limit it refuses: both are a refusal here."""
    (tmp_path / "huge.png").write_bytes(encoded(0))  # 12×15 = 180 pixels
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", most)
    if not refused:
        assert read_rgb(tmp_path / "huge.png").size == (12, 15)
        return
    with pytest.raises(UnreadablePictureError, match=r"huge\.png can't be read as an image: Image size \(180 pixels\)"):
        read_rgb(tmp_path / "huge.png")


def test_a_folder_or_a_missing_file_named_like_a_picture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").mkdir()
    data = ImageFolder(tmp_path, (3, 8, 8), (-1, 1))
    for message in ("Is a directory", "No such file"):
        with pytest.raises(UnreadablePictureError, match=rf"1\.jpg can't be read as an image: {message}"):
            data[torch.tensor([0])]
        if (tmp_path / "1.jpg").exists():
            (tmp_path / "1.jpg").rmdir()


def test_strangers_are_named_and_hidden_files_are_not_seen(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 3)
    (folder / ".DS_Store").write_bytes(b"hidden")
    (folder / ".hidden.jpg").write_bytes(b"hidden")
    (folder / "IMAGE.JPEG").write_bytes(encoded(1, "JPEG"))
    names = ["00000.png", "00001.png", "00002.png", "IMAGE.JPEG"]
    assert [file.name for file in picture_files(folder)] == names
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"pictures/notes\.txt is no picture .*: move it out of the folder"):
        picture_files(folder)
    (folder / "album").mkdir()
    with pytest.raises(ValueError, match=r"pictures/album and 1 more such is no picture"):
        ImageFolder(folder, (3, 8, 8), (-1, 1))
    assert [file.name for file in picture_files(folder, strangers=True)] == names


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    for name in ("b.png", "10.png", "9.png", "B.png", "a.webp"):
        (tmp_path / name).write_bytes(encoded(0))
    assert [file.name for file in picture_files(tmp_path)] == ["10.png", "9.png", "B.png", "a.webp", "b.png"]


def test_evaluation_takes_grey_pictures_and_overlooks_strangers(tmp_path: Path) -> None:
    grey = picture(0).convert("L")
    (tmp_path / "1.png").write_bytes(saved(grey, "PNG"))
    (tmp_path / "2.png").write_bytes(encoded(1))
    (tmp_path / "metrics.json").write_text("{}")
    read = read_images(tmp_path)
    assert torch.equal(read[0], torch.from_numpy(np.array(grey)).expand(3, -1, -1))
    assert torch.equal(read[1], pixels(picture(1)))
    (tmp_path / "3.png").write_bytes(png(16, 0))
    with pytest.raises(ValueError, match=r"3\.png can't be read as an image: I;16 pixels of more than 8 bits"):
        read_images(tmp_path)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 9), (784,), (3, 8)])
def test_shapes_that_are_no_square_of_three_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"pictures can be given as \(3, S, S\), not as"):
        Framing(shape)


def test_what_decides_the_pixels_is_described_and_the_side_is_part_of_it() -> None:
    one, other = Framing((3, 8, 8)).described(), Framing((3, 9, 9)).described()
    assert one["Pillow"] == PIL.__version__
    assert {"resize", "crop", "libjpeg_turbo", "webp"} <= one.keys()
    assert one != other
    assert one == Framing((3, 8, 8)).described()


def test_what_windows_leaves_in_folders_is_no_picture_and_no_stranger(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 2)
    before = ImageFolder(folder, (3, 8, 8), (-1, 1)).fingerprint
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "ehthumbs.db"):
        (folder / name).write_bytes(b"x")
    assert [file.name for file in picture_files(folder)] == ["00000.png", "00001.png"]
    assert ImageFolder(folder, (3, 8, 8), (-1, 1)).fingerprint == before
    (folder / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"notes\.txt is no picture"):
        picture_files(folder)


def test_pictures_unpacked_twice_get_advice_that_helps(tmp_path: Path) -> None:
    inner = write_pictures(tmp_path / "img_align_celeba" / "img_align_celeba", 2)
    with pytest.raises(ValueError, match="another folder img_align_celeba, as if unpacked twice: move what is in"):
        picture_files(inner.parent)
    for file in inner.iterdir():
        file.rename(inner.parent / file.name)
    inner.rmdir()
    assert len(picture_files(inner.parent)) == 2
