"""`gan-harness evaluate`: runs, folders and functions measured; what can't be measured leaves nothing."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from harness.cli.__main__ import main
from harness.data import open_dataset
from harness.data.content import silent
from harness.data.idx import write_idx
from harness.evaluation.evaluate import Answer, evaluate
from harness.evaluation.images import to_bytes, write_images
from harness.evaluation.options import EvaluateOptions
from harness.records.record import read_records
from harness.training import RunConfig, train
from reference import get
from tests.processes import call

GAN, MLP = "idl-gan-mnist", "mlp-gan-mnist"
METRICS = {
    "fid",
    "kid",
    "inception_score",
    "precision",
    "recall",
    "fid_inf",
    "class_coverage",
    "class_kl_to_uniform",
    "share_of_0_3_8",
    "class_share",
    "nn_distance_ratio",
}
FUNCTIONS = """
import numpy as np
import torch

def floats(n, seed):
    return torch.rand(n, 28, 28, generator=torch.Generator().manual_seed(seed))

def levels(n, seed):
    return floats(n, seed).mul(255).round().byte()

def rows(n, seed):
    return floats(n, seed).flatten(1).numpy()

def signed(n, seed):
    return floats(n, seed) * 2 - 1

def nan(n, seed):
    images = floats(n, seed)
    images[:3, 0, 0] = float("nan")
    return images

def even(n, seed):
    return torch.ones(n, 28, 28) * 0.5

def same(n, seed):
    return floats(1, seed).expand(n, 28, 28)

def larger(n, seed):
    return torch.zeros(n, 1, 32, 32, dtype=torch.uint8)

def two_channels(n, seed):
    return torch.zeros(n, 2, 28, 28)

def raising(n, seed):
    raise RuntimeError("no weights\\nfor this")

def few(n, seed):
    return floats(n - 1, seed)

def listed(n, seed):
    return [[0.0]] * n

def scalar(n, seed):
    return torch.tensor(0.5)

def objects(n, seed):
    return np.array([None] * n)

def complex_numbers(n, seed):
    return floats(n, seed) * 1j

def leaving(n, seed):
    raise SystemExit(0)

def halved(n, seed):
    return floats(n, seed) / 2

def masks(n, seed):
    return (floats(n, seed) > 0.5).to(torch.uint8)

def bright_masks(n, seed):
    return (floats(n, seed) > 0.5).float()

def dark(n, seed):
    return levels(n, seed) // 3

def backwards(n, seed):
    return levels(n, seed).numpy()[::-1][::-1, :, ::-1][:, :, ::-1]

def foreign(n, seed):
    return floats(n, seed).numpy().astype(">f4")

def coloured(n, seed):
    return torch.stack([levels(n, seed + channel) for channel in range(3)], 1)
"""
MODULE = "functions_under_evaluation"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's module in the current folder."""
    (tmp_path / f"{MODULE}.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, MODULE, raising=False)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run of two steps on the stand-in."""
    config = RunConfig(
        MLP, seed=0, batch_size=4, steps=2, tensorboard=False, pictures=False, sample_every=0, threads=1, device="cpu"
    )
    train(config, tmp_path / "run", show_log=False)
    return tmp_path / "run"


def digits(n: int, first: int = 0) -> Tensor:
    """Images of the stand-in, uint8 (n, 1, 28, 28)."""
    card = get(GAN).card
    return to_bytes(open_dataset(card, None)[torch.arange(first, first + n)].data, card.data_range)


def ask(target: str | Path, **changes: object) -> Answer:
    options = EvaluateOptions(str(target), device="cpu", against=GAN, out=Path("out"))
    return evaluate(dataclasses.replace(options, **changes), silent)  # type: ignore[arg-type]


def values(answer: Answer) -> dict[str, float]:
    return {found.metric.name + found.protocol.get("class", ""): found.value for found in answer.values}


def refused(said: str, target: str | Path, **changes: object) -> None:
    """It says why not, and has written nothing."""
    with pytest.raises(ValueError, match=said):
        ask(target, **changes)
    assert not Path("out").exists()


def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = call(arguments, Path.cwd())
    assert done.returncode == code, done.stdout + done.stderr
    return done


def complaint(*arguments: str | Path) -> str:
    """The one line that a mistake gets."""
    lines = run(*arguments, code=2).stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("gan-harness: ")
    return lines[0]


def test_a_run_is_measured_and_its_records_lie_beside_it(trained: Path) -> None:
    shown = run("evaluate", trained, "-n", "200", "--device", "cpu").stdout
    assert "fid" in shown
    assert "missing classes: " in shown
    assert str(trained / "records.jsonl") in shown
    records = read_records(trained / "records.jsonl")
    start = {f"{name} [training none]" for name in ("fid", "kid")}
    assert {r.series.partition(" [class")[0] for r in records} == METRICS | start
    assert {r.headline for r in records if r.series in start} == {False}, "no metric of the training"
    assert {(r.suite, r.reference, r.n, r.seed, r.real_data) for r in records} == {("quality", MLP, 200, 0, False)}
    assert {(r.series in start, r.batch_size, r.epochs) for r in records} == {(False, 4, 2 / 375), (True, None, 0.0)}
    assert {r.protocol["batch norm"] for r in records} == {"as sampled"}
    assert {r.environment for r in records} == set(json.loads((trained / "environment.json").read_text()))
    again = ask(trained, count=200, against="", out=None)
    assert [value.value for value in again.values] == [r.value for r in records]


def test_two_evaluated_runs_that_have_not_left_their_start_say_nothing(trained: Path, tmp_path: Path) -> None:
    config = RunConfig(MLP, seed=1, batch_size=4, steps=2, tensorboard=False, sample_every=0, threads=1, device="cpu")
    train(config, tmp_path / "other", show_log=False)
    for folder in (trained, tmp_path / "other"):
        assert ask(folder, against="", count=200, out=None).why_no_start == ""
    shown = run("compare", trained, tmp_path / "other", "--metrics", "fid", code=10).stdout
    assert "before training; train for longer" in " ".join(shown.split())


@pytest.mark.parametrize("error", [ValueError("it leaves its range"), torch.OutOfMemoryError("it leaves its range")])
def test_a_start_that_cannot_be_measured_is_said(
    error: Exception, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("harness.evaluation.evaluate.evaluate_start", fails)
    answer = ask(trained, against="", count=200)
    assert answer.why_no_start == "it leaves its range"
    (left,) = [r for r in read_records(answer.records) if r.protocol.get("training") == "none"]
    assert (left.series, left.status, left.reason) == ("fid [training none]", "skipped", answer.why_no_start)
    assert len(answer.values) > 5, "the trained one's figures stand"


def test_records_lie_under_the_name_and_bear_it() -> None:
    for name, shown in (("", f"{MODULE}:floats"), ("mine", "mine")):
        answer = ask(f"{MODULE}:floats", count=100, out=None, name=name, seed=3)
        assert answer.records == Path("runs") / "evaluated" / shown.replace(":", "_") / "records.jsonl"
        assert {(r.reference, r.seed, r.n) for r in read_records(answer.records)} == {(shown, 3, 100)}
        assert answer.data == "stand-in: scikit-learn digits"


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "-n", "50"), "FID needs more samples than the features have dimensions (64): 50 generated"),
        (("run", "-n", "0"), "--count must be 1 or more, not 0"),
        (("run", "-n", "many"), "Invalid value for '-n' / '--count'"),
        (("run", "--against", GAN), "--against and --range play no part for a run"),
        ((f"{MODULE}:nan", "-n", "200", "--against", GAN), "3 of 200 images hold NaN or infinite values"),
        ((f"{MODULE}:floats", "-n", "200"), "images of your own need --against"),
        ((f"{MODULE}:floats", "--against", GAN, "--range", "1,-1"), "--range must be two rising numbers"),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_nothing_behind(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(Path().rglob("*.json*"))
    monkeypatch.setattr(sys, "argv", ["gan-harness", "evaluate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("gan-harness: ")
    assert said in line
    assert sorted(Path().rglob("*.json*")) == before


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
    answer = ask("pictures", against="real", extractor="digitsnet")
    assert {r.metric for r in read_records(answer.records)} == METRICS - {"fid_inf", "share_of_0_3_8"}


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
    refused("real: the values 0 and 1 alone", "white", against="real", extractor="digitsnet", pixels="")


@pytest.mark.parametrize("function", ["backwards", "foreign"])
def test_arrays_of_any_strides_and_order_of_bytes_are_read(function: str) -> None:
    like = {"backwards": "levels", "foreign": "floats"}[function]
    assert values(ask(f"{MODULE}:{function}", count=100)) == values(ask(f"{MODULE}:{like}", count=100))


def test_an_extractor_looks_at_other_data_only_when_told_to() -> None:
    write_images(Path("pictures"), digits(100))
    told = ask("pictures", extractor="mnistnet", any_data=True)
    records = read_records(told.records)
    assert {r.protocol["extractor"] for r in records} == {
        "mnistnet 9587de94d39b, trained on MNIST, looks at stand-in: scikit-learn digits"
    }
    assert told.missing is None
    assert not any(r.metric.startswith(("class_", "share_of")) for r in records)
    fitting = ask("pictures", extractor="digitsnet", any_data=True)
    assert not any("looks at" in r.protocol["extractor"] for r in read_records(fitting.records))


def test_no_result_replaces_another() -> None:
    for name in ("a", "b"):
        write_images(Path(name) / "samples", digits(100, first=100 * (name == "b")))
    a, b = (ask(f"{name}/samples", out=None) for name in ("a", "b"))
    assert (a.records, b.records) == tuple(Path(f"runs/evaluated/{name}_samples/records.jsonl") for name in ("a", "b"))
    assert (a.kept, b.kept) == (None, None)
    before = a.records.read_text()
    again = ask("a/samples", out=None, count=80)
    assert again.records == a.records
    assert again.kept is not None
    assert again.kept.read_text() == before
    assert ask("a/samples", out=None).kept != again.kept
    marks = json.loads((a.records.parent / "environment.json").read_text())
    assert {r.environment for r in read_records(again.kept)} <= marks.keys()


def test_a_run_is_measured_on_its_own_data_or_not_at_all(mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on other images than those that are found is refused, whichever way they come to be found."""
    random, raw = np.random.default_rng(1), mnist_root / "MNIST" / "raw"
    write_idx(raw / "train-images-idx3-ubyte", random.integers(0, 256, (100, 28, 28), np.uint8))
    write_idx(raw / "train-labels-idx1-ubyte", random.integers(0, 10, 100, np.uint8))
    config = RunConfig(
        MLP,
        seed=0,
        batch_size=4,
        steps=2,
        tensorboard=False,
        pictures=False,
        sample_every=0,
        threads=1,
        device="cpu",
        data_root=str(mnist_root),
    )
    train(config, Path("run"), show_log=False)
    moved = mnist_root.rename(mnist_root.parent / "moved")
    gone = r"the run was trained on IDX images, 100 \(mnist-train-\w+\) in \S+/data, which isn't there any more; found "
    refused(gone + "was stand-in: scikit-learn digits .*: name the place of its own data with", "run", against="")
    images = moved / "MNIST" / "raw" / "train-images-idx3-ubyte"
    answer = ask("run", against="", data_root=moved, extractor="mnistnet", any_data=True, count=100, out=None)
    assert answer.data == "IDX images, 100"
    images.write_bytes(images.read_bytes()[:-1] + b"\1")
    refused("the run was trained on IDX images, 100 .*; found was IDX images, 100 ", "run", against="", data_root=moved)
    monkeypatch.setenv("GAN_HARNESS_DATA", str(moved))
    refused("the run was trained on IDX images, 100 ", "run", against="")


def test_a_run_on_stand_ins_is_not_measured_on_real_data(
    trained: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_HARNESS_DATA", str(mnist_root))
    assert ask(trained, against="", count=100, out=None).data == "stand-in: scikit-learn digits"
    refused(
        "the run was trained on stand-in: scikit-learn digits .*; found was IDX images, 40",
        trained,
        against="",
        data_root=mnist_root,
    )


def test_questions_that_cannot_be_answered(trained: Path) -> None:
    write_images(Path("pictures"), digits(70))
    refused("images of your own need --against", "pictures", against="")
    refused("--extractor must say who looks at them", "pictures", against="pictures")
    refused("unknown extractor 'eyes'; there are: mnistnet, digitsnet", "pictures", extractor="eyes")
    refused(
        "mnistnet was trained on MNIST and would look at stand-in: scikit-learn digits: leave --extractor to",
        "pictures",
        extractor="mnistnet",
    )
    Path("weights.pth").write_bytes(b"anything")
    inception = {"extractor": "inception", "inception": Path("weights.pth")}
    refused("weights.pth isn't torch-fidelity's .*: its SHA-256 begins with", "pictures", **inception)
    refused("nowhere.pth isn't there; nothing is fetched", "pictures", **inception | {"inception": Path("nowhere.pth")})
    refused("'nothing' is neither a run's folder, nor a folder of images, nor module:callable", "nothing")
    refused("No module named 'no_such_module'", "no_such_module:generate", count=200)
    refused("unknown reference 'idl-gan-mnis'; did you mean", "pictures", against="idl-gan-mnis")
    refused("sample quality is measured on sets of images", "pictures", against="idl-gan-grid")
    refused("--against and --range play no part for a run", trained)
    refused("5000 samples can't be compared with 1500", trained, count=5000, against="")


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


def test_a_figure_says_how_its_run_was_trained_whoever_looks(trained: Path) -> None:
    """A training in TF32 that a CPU evaluates is none of a CPU."""
    deciding = ("numerics", "float32 convolutions", "float32 products")
    found = {r.protocol["float32 convolutions"] for r in read_records(ask(trained, against="", count=200).records)}
    assert found == {"ieee"}
    facts = json.loads((trained / "run.json").read_text())
    facts["environment"]["float32 convolutions"] = "tf32"
    facts["config"] |= {"device": "cuda:0", "deterministic": False}
    (trained / "run.json").write_text(json.dumps(facts))
    for r in read_records(ask(trained, against="", count=200, out=Path("again")).records):
        assert [r.protocol[name] for name in deciding] == ["as documented (cudnn.benchmark)", "tf32", "ieee"]
        assert r.protocol["float32 convolutions, sampling"] == "ieee", "drawn another way than trained"


def test_images_that_are_given_are_looked_at_alike_on_every_device() -> None:
    write_images(Path("pictures"), digits(100))
    for r in read_records(ask("pictures").records):
        assert not {"numerics", "float32 convolutions", "float32 products"} & set(r.protocol)
