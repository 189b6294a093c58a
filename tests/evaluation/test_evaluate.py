"""`gan-harness evaluate`: runs, folders and functions measured; what can't be measured leaves nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.checks.golden import keep_golden
from harness.cli.__main__ import main
from harness.data import batches_per_epoch, open_dataset
from harness.data.idx import write_idx
from harness.data.mixtures import modes_of
from harness.evaluation.evaluate import Evaluation, evaluate
from harness.evaluation.evaluation_records import write_evaluation
from harness.evaluation.images import to_bytes, write_images
from harness.evaluation.kept_generator import GoldenFacts
from harness.evaluation.mode_coverage import NO_GOOD_SAMPLES, coverage_of
from harness.evaluation.options import EvaluateOptions
from harness.records.record import read_records
from harness.records.report_folder import read_session, write_session
from harness.training import RunConfig, train
from harness.training.networks import drawn_networks
from harness.training.run_folder import RunFolder
from harness.training.sampler import Sampler
from reference import get
from tests.evaluation.conftest import GAN, MLP, MODULE, run

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("module")

METRICS = {
    "fid",
    "kid",
    "inception_score",
    "precision",
    "recall",
    "density",
    "coverage",
    "fid_inf",
    "class_coverage",
    "class_kl_to_uniform",
    "share_of_0_3_8",
    "class_share",
    "nn_distance_ratio",
    "copies",
    "authenticity",
}


def digits(n: int, first: int = 0) -> Tensor:
    """Bundled images, uint8 (n, 1, 28, 28)."""
    card = get(GAN).card
    return to_bytes(open_dataset(card, None)[torch.arange(first, first + n)].data, card.data_range)


def ask(target: str | Path, **changes: object) -> Evaluation:
    options = EvaluateOptions(str(target), device="cpu", against=GAN, out=Path("out"))
    return evaluate(dataclasses.replace(options, **changes))  # type: ignore[arg-type]


def refused(said: str, target: str | Path, **changes: object) -> None:
    """It says why not, and has written nothing."""
    with pytest.raises(ValueError, match=said):
        ask(target, **changes)
    assert not Path("out").exists()


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
    assert {(r.series in start, r.batch_size, r.epochs) for r in records} == {(False, 4, 2 / 1250), (True, None, 0.0)}
    assert {r.protocol["batch norm"] for r in records} == {"as sampled"}
    assert {r.environment for r in records} == set(json.loads((trained / "environment.json").read_text()))
    again = ask(trained, count=200, against="", out=None)
    assert [value.value for value in again.values] == [r.value for r in records]
    left = {path.name for path in trained.iterdir()}
    assert {"records.1.jsonl", "figures.csv", f"samples-{MLP}.png", f"samples-{MLP}.1.png"} <= left
    RunFolder(trained).check_free(overwrite=True)  # what an evaluation leaves in a run's folder may go with the run


def test_two_evaluated_runs_that_have_not_left_their_start_say_nothing(trained: Path, tmp_path: Path) -> None:
    config = RunConfig(MLP, seed=1, batch_size=4, steps=2, tensorboard=False, sample_every=0, threads=1, device="cpu")
    train(config, tmp_path / "other")
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

    monkeypatch.setattr("harness.evaluation.judge.evaluate_start", fails)
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
        assert answer.data == "MNIST, 5,000 of 60,000"


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


def test_an_extractor_looks_at_other_data_only_when_told_to() -> None:
    write_images(Path("pictures"), digits(100))
    told = ask("pictures", extractor="facesnet", any_data=True)
    records = read_records(told.records)
    assert {r.protocol["extractor"] for r in records} == {
        "facesnet ab9d55ce18c8, trained on stand-in: drawn faces, looks at MNIST, 5,000 of 60,000"
    }
    assert told.missing is None
    assert not any(r.metric.startswith(("class_", "share_of")) for r in records)
    fitting = ask("pictures", extractor="mnistnet", any_data=True)
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
    train(config, Path("run"))
    moved = mnist_root.rename(mnist_root.parent / "moved")
    gone = r"the run was trained on IDX images, 100 \(mnist-train-\w+\) in \S+/data, which isn't there any more; found "
    refused(gone + "was MNIST, 5,000 of 60,000 .*: name the place of its own data with", "run", against="")
    images = moved / "MNIST" / "raw" / "train-images-idx3-ubyte"
    answer = ask("run", against="", data_root=moved, extractor="mnistnet", any_data=True, count=100, out=None)
    assert answer.data == "IDX images, 100"
    images.write_bytes(images.read_bytes()[:-1] + b"\1")
    refused("the run was trained on IDX images, 100 .*; found was IDX images, 100 ", "run", against="", data_root=moved)
    monkeypatch.setenv("GAN_HARNESS_DATA", str(moved))
    refused("the run was trained on IDX images, 100 ", "run", against="")


def test_a_run_on_bundled_images_is_not_measured_on_others(
    trained: Path, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_HARNESS_DATA", str(mnist_root))
    assert ask(trained, against="", count=100, out=None).data == "MNIST, 5,000 of 60,000"
    refused(
        "the run was trained on MNIST, 5,000 of 60,000 .*; found was IDX images, 40",
        trained,
        against="",
        data_root=mnist_root,
    )


def test_questions_that_cannot_be_answered(trained: Path) -> None:
    write_images(Path("pictures"), digits(70))
    refused("images of your own need --against", "pictures", against="")
    refused("--extractor must say who looks at them", "pictures", against="pictures")
    refused("unknown extractor 'eyes'; there are: mnistnet, celebanet,", "pictures", extractor="eyes")
    refused(
        "facesnet was trained on stand-in: drawn faces and would look at MNIST, 5,000 of 60,000: leave --extractor to",
        "pictures",
        extractor="facesnet",
    )
    Path("weights.pth").write_bytes(b"anything")
    inception = {"extractor": "inception", "extractor_weights": Path("weights.pth")}
    refused("weights.pth isn't the published .*: its SHA-256 begins with", "pictures", **inception)
    refused(
        "nowhere.pth isn't there; nothing is fetched",
        "pictures",
        **inception | {"extractor_weights": Path("nowhere.pth")},
    )
    refused(
        "'nothing' is neither a folder of a run, of a kept generator or of images, nor module:callable",
        "nothing",
    )
    refused("No module named 'no_such_module'", "no_such_module:generate", count=200)
    refused("unknown reference 'idl-gan-mnis'; did you mean", "pictures", against="idl-gan-mnis")
    refused("pictures is a folder of pictures, and idl-gan-grid has points", "pictures", against="idl-gan-grid")
    refused("--against and --range play no part for a run", trained)
    refused("6000 samples can't be compared with 5000", trained, count=6000, against="")


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


def test_a_kept_generator_is_measured_on_what_it_was_trained_on(tmp_path: Path) -> None:
    """And says where: its records may be kept as evidence."""
    card = get("idl-gan-mnist").card
    data = open_dataset(card, None)
    networks = drawn_networks(get("idl-gan-mnist"), 3, CPU)
    facts = GoldenFacts("idl-gan-mnist", 3, 390, data.title, data.fingerprint, {"device": "a card"}, {})
    keep_golden(Sampler(get("idl-gan-mnist"), networks, CPU, 3), facts, tmp_path / "kept")
    found = evaluate(EvaluateOptions(str(tmp_path / "kept"), count=200, out=tmp_path / "out"))
    (fid,) = [r for r in read_records(found.records) if r.metric == "fid"]
    assert (fid.reference, fid.seed, fid.n, fid.batch_size) == ("idl-gan-mnist", 3, 200, 128)
    assert fid.epochs == 390 / batches_per_epoch(len(data), 128, drop_last=card.drop_last)
    assert fid.protocol["trained on"] == "a card"
    assert read_session(tmp_path / "out").specs == ("idl-gan-mnist",)
    with pytest.raises(ValueError, match="6000 samples can't be compared with 5000 of MNIST, 5,000 of 60,000"):
        evaluate(EvaluateOptions(str(tmp_path / "kept"), count=6000, out=tmp_path / "many"))

    other = dataclasses.replace(facts, data="MNIST", data_fingerprint="mnist-train-0")
    keep_golden(Sampler(get("idl-gan-mnist"), networks, CPU, 3), other, tmp_path / "other")
    with pytest.raises(ValueError, match="was trained on other data than MNIST, 5,000 of 60,000: --data-root FOLDER"):
        evaluate(EvaluateOptions(str(tmp_path / "other"), out=tmp_path / "none"))


def test_points_are_held_against_the_modes_of_their_card(tmp_path: Path) -> None:
    """As the modes suite does it, so that tables and claims read both."""
    config = RunConfig("idl-gan-grid", seed=0, batch_size=8, steps=1, tensorboard=False, pictures=False, device="cpu")
    train(config, tmp_path / "0")
    shown = run("evaluate", tmp_path / "0", "-n", "500", "--device", "cpu").stdout
    assert "500 points, against 3×3 Gaussian grid" in shown
    assert "modes_captured" in shown
    assert "mode_share" not in shown
    records = read_records(tmp_path / "0" / "records.jsonl")
    assert {r.suite for r in records} == {"modes"}
    shares = [r.value for r in records if r.metric == "mode_share"]
    assert len(shares) == 9
    (quality,) = [r.value for r in records if r.metric == "high_quality_fraction"]
    assert sum(filter(None, shares)) == pytest.approx(quality)
    assert not list((tmp_path / "0").glob("samples-*.png")), "no picture of images where there are none"
    with pytest.raises(ValueError, match="mnistnet measures distances; what idl-gan-grid draws is held against"):
        evaluate(EvaluateOptions(str(tmp_path / "0"), extractor="mnistnet", device="cpu"))


def test_networks_that_were_kept_on_the_way_are_measured_beside_the_final_ones(tmp_path: Path) -> None:
    config = RunConfig("idl-gan-grid", 0, 128, steps=60, device="cpu", tensorboard=False, pictures=False)
    train(dataclasses.replace(config, checkpoint_every=20), tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-00000020").rename(tmp_path / "run" / "then")
    (tmp_path / "run" / "best").mkdir()
    (tmp_path / "run" / "then").rename(tmp_path / "run" / "best" / "step-00000020")
    evaluate(EvaluateOptions(str(tmp_path / "run"), count=4000))
    there = read_records(tmp_path / "run" / "records.jsonl")
    found = {r.protocol.get("training"): r for r in there if r.metric == "high_quality_fraction"}
    assert found.keys() == {None, "best"}
    assert found["best"].epochs == pytest.approx((found[None].epochs or 0) / 3)
    assert not found["best"].headline
    assert found["best"].series == "high_quality_fraction [training best]"
    evaluate(EvaluateOptions(str(train(dataclasses.replace(config, steps=20), tmp_path / "two").folder), count=4000))
    alone = read_records(tmp_path / "two" / "records.jsonl")
    (same,) = [r for r in alone if r.metric == "high_quality_fraction"]
    assert same.value == found["best"].value != found[None].value, "those of its step"


def test_what_no_mode_has_is_skipped_with_its_reason(tmp_path: Path) -> None:
    card = get("idl-gan-grid").card
    modes = modes_of(card)
    assert modes is not None
    far = coverage_of(np.full((10, 2), 50.0), modes)
    facts = {"reference": card.name, "seed": 0, "n": 10}
    where, _ = write_evaluation(tmp_path, far.values(), facts, open_dataset(card, None), CPU)
    found = {r.metric: (r.value, r.status, r.reason) for r in read_records(where)}
    assert found["reverse_kl"] == found["spread_ratio"] == (None, "skipped", NO_GOOD_SAMPLES)
    assert found["modes_captured"] == (0, "measured", "")


def test_several_evaluations_make_one_report(tmp_path: Path) -> None:
    """Seeds, or the two GANs of a claim, lie side by side; the same twice, or of other code, is refused."""
    card = get("idl-gan-mnist").card
    data = open_dataset(card, None)
    for seed in (3, 4):
        networks = drawn_networks(get("idl-gan-mnist"), seed, CPU)
        facts = GoldenFacts("idl-gan-mnist", seed, 390, data.title, data.fingerprint, {"device": "a card"}, {})
        keep_golden(Sampler(get("idl-gan-mnist"), networks, CPU, seed), facts, tmp_path / f"kept{seed}")

    def add(seed: int, **more: object) -> Path:
        options = EvaluateOptions(str(tmp_path / f"kept{seed}"), count=200, out=tmp_path / "out", add=True)
        return evaluate(dataclasses.replace(options, **more)).records  # type: ignore[arg-type]

    first = read_records(add(3))
    both = read_records(add(4))
    assert both[: len(first)] == first
    assert [r.seed for r in both if r.metric == "fid"] == [3, 4]
    with pytest.raises(ValueError, match="of idl-gan-mnist, seed 4, already: give another --out"):
        add(4)
    assert read_records(add(4, name="mine"))[-1].reference == "mine"
    session = read_session(tmp_path / "out")
    assert session.specs == ("idl-gan-mnist",)
    write_session(tmp_path / "out", dataclasses.replace(session, revision="0" * 40))
    with pytest.raises(ValueError, match="holds figures of the code at 0000000, and this is"):
        add(4, name="later")
    write_session(tmp_path / "out", dataclasses.replace(session, outcomes={"passed": 3}))
    with pytest.raises(ValueError, match="holds a report of the suites: evaluations have a folder of their own"):
        add(4, name="later")
    with pytest.raises(ValueError, match="--add needs --out"):
        add(4, out=None)
