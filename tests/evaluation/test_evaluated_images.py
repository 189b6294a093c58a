"""Folders and functions under evaluation: what is measured, what is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from harness.data import open_dataset
from harness.evaluation.evaluate import Evaluation
from harness.evaluation.images import to_bytes, write_images
from harness.records.record import read_records
from reference import get
from tests.evaluation.conftest import GAN, MLP, MODULE, run
from tests.evaluation.test_evaluate import METRICS, ask, digits, refused

pytestmark = pytest.mark.usefixtures("module")


def values(answer: Evaluation) -> dict[str, float]:
    return {found.metric.name + found.protocol.get("class", ""): found.value for found in answer.values}


def complaint(*arguments: str | Path) -> str:
    """The one line that a mistake gets."""
    lines = run(*arguments, code=2).stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("gan-harness: ")
    return lines[0]


def test_a_function_that_raises_gets_one_line_even_for_an_error_of_several() -> None:
    said = complaint("evaluate", f"{MODULE}:raising", "--against", GAN, "-n", "200", "--out", "out")
    assert said.endswith(f"{MODULE}:raising called with (200, 0) fails: RuntimeError: no weights for this")
    assert not Path("out").exists()


def test_an_empty_folder_gets_one_line() -> None:
    Path("empty").mkdir()
    assert "empty holds no images" in complaint("evaluate", "empty", "--against", GAN, "--out", "out")
    assert not Path("out").exists()


def test_a_folder_of_real_digits_is_near_the_real_ones_and_noise_is_far() -> None:
    write_images(Path("pictures"), digits(200, first=100))
    write_images(
        Path("noise"), torch.randint(0, 256, (200, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    )
    near, far = (values(ask(folder)) for folder in ("pictures", "noise"))
    assert near["fid"] < far["fid"] / 10
    assert near["precision"] > 0.8 > far["precision"]
    assert near["nn_distance_ratio"] == pytest.approx(0, abs=1e-3), "they are training images"
    assert near["class_coverage"] == 10


def test_missing_classes_are_named() -> None:
    card = get(GAN).card
    data = open_dataset(card, None)
    labels = data[torch.arange(len(data))].labels
    assert labels is not None
    write_images(Path("pictures"), to_bytes(data[(labels < 8).nonzero().flatten()[:300]].data, card.data_range))
    assert ask("pictures").missing == ["8", "9"]


def test_a_folder_can_be_held_against_a_folder() -> None:
    write_images(Path("pictures"), digits(100))
    write_images(Path("real"), digits(150, first=100))
    answer = ask("pictures", against="real", extractor="mnistnet")
    assert {r.metric for r in read_records(answer.records)} == METRICS - {"fid_inf", "share_of_0_3_8"}


def test_held_out_images_show_what_was_learned_by_heart() -> None:
    """A folder of training images, and one of others, both against what they were held out of."""
    write_images(Path("real"), digits(400, first=100))
    write_images(Path("copied"), digits(300, first=150))
    write_images(Path("new"), digits(300, first=1000))
    write_images(Path("held"), digits(300, first=2000))
    refused("300 of 300 held-out images are training images", "new", held_out=Path("held"))  # of a reference's data
    same = {"against": "real", "extractor": "mnistnet", "held_out": Path("real")}
    refused("are the same folder, real: hold out other images", "new", **same)
    itself = {"against": "real", "extractor": "mnistnet", "held_out": Path("new")}
    refused("--held-out and what is evaluated are the same folder, new", "new", **itself)
    refused("held-out images are training images", "new", against="real", extractor="mnistnet", held_out=Path("copied"))
    write_images(Path("large"), torch.zeros(70, 1, 32, 32, dtype=torch.uint8).random_(0, 255))
    large = {"against": "real", "extractor": "mnistnet", "held_out": Path("large")}
    refused("--held-out large holds images of 1×32×32, and the others have 1×28×28", "new", **large)
    refused("--held-out nowhere is no folder", "new", against="real", extractor="mnistnet", held_out=Path("nowhere"))
    copied, new = (
        values(ask(folder, against="real", extractor="mnistnet", held_out=Path("held"))) for folder in ("copied", "new")
    )
    assert copied["copies"] == 1
    assert new["copies"] < 0.1
    assert copied["fid_gap"] > new["fid_gap"]


def test_floats_and_bytes_of_the_same_images_give_the_same_values() -> None:
    floats = ask(f"{MODULE}:floats", count=200)
    assert values(floats) == values(ask(f"{MODULE}:levels", count=200))
    assert values(floats) == values(ask(f"{MODULE}:rows", count=200))
    assert values(floats) == values(ask(f"{MODULE}:signed", count=200, pixels="-1,1"))
    assert values(floats) != values(ask(f"{MODULE}:floats", count=200, seed=1))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nan", "3 of 200 images hold NaN or infinite values"),
        ("even", "all 200 images are of one even colour"),
        ("same", "all 200 images are the same"),
        ("signed", "pixels from -1 to 1 don't fit the declared range 0 to 1"),
        ("larger", "images of 1×32×32 can't be compared with .* of 1×28×28"),
        ("two_channels", r"with C 1 or 3, not \(200, 2, 28, 28\)"),
        ("few", "was asked for 200 images and returned 199"),
        ("listed", "must return a tensor or an array of images, not list"),
        ("raising", "fails: RuntimeError: no weights"),
        ("absent", "has no attribute 'absent'"),
    ],
)
def test_what_a_function_must_not_return(function: str, said: str) -> None:
    refused(said, f"{MODULE}:{function}", count=200)


def test_folders_that_cannot_be_measured() -> None:
    write_images(Path("small"), digits(50))
    refused(r"more samples than the features have dimensions \(64\): 50 generated", "small")
    refused("small holds 50 images, asked for were 60", "small", count=60)
    write_images(Path("large"), torch.zeros(70, 1, 32, 32, dtype=torch.uint8))
    refused("images of 1×32×32 can't be compared", "large")
    generator = torch.Generator().manual_seed(0)
    write_images(Path("coloured"), torch.randint(0, 256, (70, 3, 28, 28), generator=generator).byte())
    refused("coloured holds coloured images, the real ones are grey", "coloured")
    write_images(Path("mixed"), digits(70))
    write_images(Path("mixed") / "one", torch.zeros(1, 1, 32, 32, dtype=torch.uint8))
    (Path("mixed") / "one" / "000000.png").rename(Path("mixed") / "999999.png")
    refused("999999.png has 32×32 pixels, those before it 28×28", "mixed")


def test_a_sorted_folder_has_the_figures_of_a_shuffled_one() -> None:
    """Names that sort by class, or by anything else, must not decide which images are looked at."""
    images = digits(600)
    order = images.flatten(1).float().mean(1).argsort()
    write_images(Path("sorted"), images[order])
    found = ask("sorted", count=150)
    (record,) = [r for r in read_records(found.records) if r.metric == "fid"]
    assert (found.n, found.given) == (150, 600)
    assert record.protocol["generated"] == "150 of 600, evenly spread"
    first = ask(write_numbered("first", images[order][:150]))
    shuffled = images[torch.randperm(600, generator=torch.Generator().manual_seed(0))]
    other = ask(write_numbered("shuffled", shuffled[:150]))
    spread, begun, usual = (values(one)["fid"] for one in (found, first, other))
    assert spread < (usual + begun) / 2
    assert begun > 2 * usual
    copies = torch.cat([images[:150], 255 - images[:400]])
    looked = ask(write_numbered("copies", copies), count=100)
    (record,) = [r for r in read_records(looked.records) if r.metric == "nn_distance_ratio"]
    assert record.protocol["looked through"] == "550"


def write_numbered(name: str, images: Tensor) -> str:
    write_images(Path(name), images)
    return name


@pytest.mark.parametrize(
    ("function", "seen"),
    [
        ("floats", r"values from \S+ to 1, where black is -1 and white 1"),
        ("halved", r"values from \S+ to 0\.5, where black is -1 and white 1"),
        ("masks", "the values 0 and 1 alone, where black is 0 and white 255"),
        ("bright_masks", "the values 0 and 1 alone, where black is -1 and white 1"),
        ("dark", "values from 0 to 85, where black is 0 and white 255"),
    ],
)
def test_a_range_of_which_half_is_used_is_refused_unless_it_is_declared(function: str, seen: str) -> None:
    signed = MLP
    refused(
        f"{function}: {seen}: say what they mean with --range LOW,HIGH",
        f"{MODULE}:{function}",
        count=100,
        against=signed,
    )
    largest = {"halved": 0.5, "dark": 85.0}.get(function, 1.0)
    assert ask(f"{MODULE}:{function}", count=100, against=signed, pixels=f"0,{largest}").n == 100  # declared


def test_a_stray_pixel_is_no_range() -> None:
    images = digits(100).float() / 255  # in [0, 1], where the card says [−1, 1]
    images[0, 0, 0, 0] = -1
    np.save("stray.npy", images.numpy())
    with Path(f"{MODULE}.py").open("a") as stream:
        stream.write("\n\ndef stray(n, seed):\n    return np.load('stray.npy')[:n]\n")
    refused(
        r"but for stray ones, values from 0 to \S+, where black is -1 and white 1",
        f"{MODULE}:stray",
        count=100,
        against=MLP,
    )


def test_a_run_whose_samples_use_half_of_the_cards_range_is_said(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(get(MLP))
    original: Callable[..., Tensor] = kind.__dict__["sample"]

    @functools.wraps(original)
    def half(*given: object, **more: object) -> Tensor:
        samples = original(*given, **more)
        return samples * 0.5 + 0.5

    monkeypatch.setattr(kind, "sample", half)
    note = ask(trained, against="", count=200).note
    assert note.startswith("its samples hold values from 1")
    assert note.endswith("of 0 for black to 255 for white: does the card's range fit?")


@pytest.mark.parametrize("name", ["more/x.png", "x.tif", "x.bmp", "x.gif"])
def test_pictures_that_would_be_left_out_are_refused(name: str) -> None:
    write_images(Path("mixed"), digits(100))
    ask("mixed")
    (Path("mixed") / name).parent.mkdir(exist_ok=True)
    Image.new("RGB", (28, 28)).save(Path("mixed") / name)
    with pytest.raises(ValueError, match=r"mixed/.* is (a folder of more pictures|a picture of another kind)"):
        ask("mixed")


def test_a_module_that_is_not_there_was_not_called() -> None:
    refused(r"gens.py:even can't be imported: .*; give it as module:callable, without .py", "gens.py:even")


def test_masks_in_files_are_masks_too() -> None:
    masks = (digits(100) > 127).byte()
    write_images(Path("masks"), masks)
    refused("masks: the values 0 and 1 alone, where black is 0 and white 255", "masks")
    declared = ask("masks", pixels="0,1", out=None)
    write_images(Path("white"), 255 * masks)
    refused("white: the values 0 and 255 alone", "white")
    assert values(ask("white", pixels="0,255", out=None)) == values(declared)
    write_images(Path("real"), masks)
    refused("real: the values 0 and 1 alone", "white", against="real", extractor="mnistnet", pixels="")


@pytest.mark.parametrize("function", ["backwards", "foreign"])
def test_arrays_of_any_strides_and_order_of_bytes_are_read(function: str) -> None:
    like = {"backwards": "levels", "foreign": "floats"}[function]
    assert values(ask(f"{MODULE}:{function}", count=100)) == values(ask(f"{MODULE}:{like}", count=100))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": 0}, "--count must be 1 or more, not 0"),
        ({"seed": -1}, "--seed must be from 0"),
        ({"pixels": "1,1"}, "--range must be two rising numbers"),
        ({"pixels": "nan,1"}, "--range must be two rising numbers"),
    ],
)
def test_values_out_of_their_range_are_refused(changes: dict[str, object], said: str) -> None:
    refused(said, f"{MODULE}:floats", **changes)


@pytest.mark.parametrize("function", ["scalar", "objects", "complex_numbers", "leaving", "coloured"])
def test_what_a_function_must_not_return_is_refused_in_one_line(function: str) -> None:
    refused(MODULE, f"{MODULE}:{function}", count=200)


def test_images_that_are_given_are_looked_at_alike_on_every_device() -> None:
    write_images(Path("pictures"), digits(100))
    for r in read_records(ask("pictures").records):
        assert not {"numerics", "float32 convolutions", "float32 products"} & set(r.protocol)


def test_pictures_of_several_sizes_are_brought_to_one_and_the_figures_say_so() -> None:
    images = digits(100)
    write_images(Path("pictures"), images.repeat_interleave(2, 2).repeat_interleave(2, 3))
    wider = Image.open("pictures/000000.png").resize((80, 56))
    wider.save("pictures/000000.png")
    refused("80×56|56×56.*--resize N makes it so", "pictures")
    refused("images of 1×32×32 can't be compared with .* of 1×28×28", "pictures", resize=32)
    answer = ask("pictures", resize=28)
    assert values(answer)["fid"] < 5, "they are nearly the digits that they were"
    said = read_records(answer.records)[0].protocol
    assert said["pictures, resize"] == "shorter side to 28, bilinear with antialiasing"
    assert said["pictures, crop"] == "centre, 28×28"
    assert len(list(answer.records.parent.glob("samples-*.png"))) == 1, "what was measured lies in no folder"


def test_an_extractor_of_grey_images_looks_at_colours_and_tells_no_classes() -> None:
    noise = torch.Generator().manual_seed(0)
    for name in ("pictures", "real"):
        write_images(Path(name), torch.randint(0, 256, (80, 3, 30, 40), generator=noise).byte())
    answer = ask("pictures", against="real", extractor="mnistnet", resize=28)
    found = read_records(answer.records)
    assert answer.missing is None
    assert {r.metric for r in found} & {"class_coverage", "class_share", "class_kl_to_uniform"} == set()
    assert found[0].protocol["extractor"].endswith("looks at real")


@pytest.mark.parametrize("resize", [0, 7, 4097])
def test_a_size_that_no_extractor_could_use_is_refused(resize: int) -> None:
    write_images(Path("pictures"), digits(70))
    refused(f"--resize must be from 8 to 4096, not {resize}", "pictures", resize=resize)


def test_what_is_drawn_keeps_its_size(trained: Path) -> None:
    refused(
        "--resize is for folders of pictures; what .* draws has the size that its card says", str(trained), resize=28
    )
    refused("--resize is for folders of pictures: neither side is one", f"{MODULE}:floats", resize=28)
