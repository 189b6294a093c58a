from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.training import RunConfig, train
from harness.training.checkpoint import checkpoint_folders
from harness.training.load_run import restore_run
from harness.training.run_folder import RunFolder, read_rows
from harness.training.state import TrainingState
from reference import LogSchedule
from tests import toys

Make = Callable[..., RunConfig]


class StopHereError(Exception):
    pass


def stop_at(at: int) -> Callable[[int, TrainingState], None]:
    def stop(step: int, _: TrainingState) -> None:
        if step == at:
            raise StopHereError

    return stop


def interrupted(config: RunConfig, out: Path, at: int) -> None:
    with pytest.raises(StopHereError):
        train(config, out, on_step=stop_at(at))


def test_the_same_seed_gives_the_same_bits_and_another_others(toy_config: Make, tmp_path: Path) -> None:
    one, two = (train(toy_config(), tmp_path / name) for name in ("one", "two"))
    assert one.digests == two.digests
    other = train(toy_config(seed=1), tmp_path / "other")
    assert all(other.digests[k] != one.digests[k] for k in one.digests if k.startswith("network/") and "num" not in k)


def test_nothing_outside_moves(toy_config: Make, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train(toy_config(), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_surroundings_do_not_matter(toy_config: Make, tmp_path: Path) -> None:
    one = train(toy_config(), tmp_path / "one")
    torch.manual_seed(99)
    torch.randn(7)
    assert train(toy_config(), tmp_path / "two").digests == one.digests


@pytest.mark.parametrize("at", range(1, 12))
def test_resuming_gives_the_bits_of_a_run_that_never_stopped(toy_config: Make, tmp_path: Path, at: int) -> None:
    """Epochs of two steps, checkpoints every three, so that both kinds of boundary are crossed."""
    config = toy_config(steps=13, batch_size=40_000, trace=True)
    whole = train(config, tmp_path / "whole")
    interrupted(config, tmp_path / "parts", at)
    parts = train(config, tmp_path / "parts", resume=True)
    assert parts.digests == whole.digests
    for name in ("metrics", "trace"):
        rows = [list(read_rows(getattr(RunFolder(tmp_path / run), name))) for run in ("whole", "parts")]
        assert rows[0] == rows[1]
        assert [row["step"] for row in rows[1]] == list(range(1, 14))


def test_a_longer_run_continues_a_shorter_one(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(steps=4), tmp_path / "run")
    longer = train(toy_config(steps=9), tmp_path / "run", resume=True)
    assert longer.digests == train(toy_config(steps=9), tmp_path / "whole").digests


def test_resuming_a_finished_run_changes_nothing(toy_config: Make, tmp_path: Path) -> None:
    first = train(toy_config(), tmp_path / "run")
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert train(toy_config(), tmp_path / "run", resume=True).digests == first.digests
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def test_epochs_are_counted_in_whole_batches(toy_config: Make, tmp_path: Path) -> None:
    run = train(toy_config(epochs=2, batch_size=40_000), tmp_path / "run")
    assert (run.steps_per_epoch, run.steps) == (2, 4), "the toy drops the last, smaller batch"


def test_rows_round_trip_and_stand_for_every_step(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(), tmp_path / "run")
    rows = list(read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["step"] for row in rows] == list(range(1, 9))
    for row in rows:
        value = row["loss_generator"]
        assert torch.tensor(value, dtype=torch.float32).item() == value


def test_the_log_shows_the_documents_steps(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(steps=12), tmp_path / "run")
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line.split()[3] for line in lines if line.startswith("epoch")] == ["1", "6", "11"]


def test_a_document_that_prints_means_gets_means(
    toy_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = dataclasses.replace(toys.CARD, log=LogSchedule(every=4, first=4, averaged=True))
    monkeypatch.setattr(toys.Toy, "card", card)
    train(toy_config(), tmp_path / "run")
    lines = [line for line in (tmp_path / "run" / "log.txt").read_text().splitlines() if line.startswith("epoch")]
    values = [row["loss_generator"] for row in read_rows(tmp_path / "run" / "metrics.jsonl")]
    for line, part in zip(lines, (values[:4], values[4:]), strict=True):
        assert f"loss_generator {sum(part) / 4:.4f}" in line


@pytest.mark.parametrize(
    ("spec", "batch"),
    [
        (
            "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=3",
            3,
        ),  # grows at the steps 2 and 5, fades in between
        ("idl-ex4-inpainting-unet-mnist", 2),
        ("idl-ex6-pix2pix@size=32,width=2", 1),
        ("style-transfer@size=16", 1),
        ("idl-cond-wgan-gp-mnist", 2),
    ],
)
def test_growth_holes_jitter_and_targets_survive_resuming(spec: str, batch: int, tmp_path: Path) -> None:
    def config(steps: int) -> RunConfig:
        return RunConfig(spec, 0, batch, steps=steps, threads=1, tensorboard=False, pictures=False, sample_every=0)

    whole = train(config(6), tmp_path / "whole")
    train(config(3), tmp_path / "parts")
    parts = train(config(6), tmp_path / "parts", resume=True)
    assert parts.digests == whole.digests
    rows = [list(read_rows(tmp_path / name / "metrics.jsonl")) for name in ("whole", "parts")]
    assert rows[0] == rows[1]
    if "side" in rows[0][0]:
        assert [row["side"] for row in rows[0]] == [4, 8, 8, 8, 16, 16]
        assert [row["faded_in"] for row in rows[0]] == [1, 0, 1, 1, 0, 1]
        assert restore_run(tmp_path / "parts", torch.device("cpu")).networks["schedule"].done == 6


def test_no_checkpoint_is_written_when_none_is_to_be_kept(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(keep_checkpoints=0), tmp_path / "run")
    assert not checkpoint_folders(tmp_path / "run" / "checkpoints")


def test_conditioned_systems_show_condition_sample_and_real(tmp_path: Path) -> None:
    config = RunConfig("idl-ex4-inpainting-unet-mnist", 0, 2, steps=1, sample_count=4, tensorboard=False)
    train(config, tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "step-00000001.png") as image:
        # Two triples a row, four of them; tiles of 32 with a frame of 2.
        assert image.size == (6 * 30 + 2, 2 * 30 + 2)


def test_systems_with_classes_show_one_per_column(tmp_path: Path) -> None:
    config = RunConfig("idl-cond-wgan-gp-mnist", 0, 2, steps=1, sample_count=4, tensorboard=False)
    train(config, tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "step-00000001.png") as image:
        assert image.size == (10 * 30 + 2, 10 * 30 + 2)


def test_pictures_at_the_end(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(pictures=True, sample_every=3, tensorboard=True), tmp_path / "run")
    names = {p.name for p in (tmp_path / "run" / "samples").iterdir()}
    assert names == {"step-00000003.png", "step-00000006.png", "step-00000008.png"}
    for name in ("losses.png", "real_beside_fake.png", "progress.gif"):
        with Image.open(tmp_path / "run" / name) as image:
            assert image.size[0] > 100
            assert name != "progress.gif" or image.n_frames == 3  # type: ignore[attr-defined]
    assert any((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize(
    "name",
    ["mlp-gan-mnist", "idl-gan-mnist", "idl-wgan-gp-mnist@corrected", "handson-dcgan-mnist", "pytorch-dcgan-celeba"],
)
def test_references_train_and_leave_pictures(name: str, tmp_path: Path) -> None:
    config = RunConfig(name, 1, 4, steps=2, sample_count=4, tensorboard=False)
    run = train(config, tmp_path / "run")
    assert run.steps == 2
    with Image.open(tmp_path / "run" / "real_beside_fake.png") as image:
        assert len(image.convert("L").getcolors() or []) > 20


def test_tied_weights_are_saved(toy_config: Make, tmp_path: Path) -> None:
    def tie(_: int, state: TrainingState) -> None:
        state.networks["generator"].register_buffer("twin", next(state.networks["generator"].parameters()).data)

    train(toy_config(steps=3), tmp_path / "run", on_step=tie)
    assert (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir()
