"""A run folder, from the outside: refusals, damage, full disks."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from harness.data.device_transfer import DeviceTransfer
from harness.training import NonFiniteError, RunConfig, train
from harness.training.checkpoint import checkpoint_folders
from harness.training.load_run import restore_run
from harness.training.run_folder import read_rows
from harness.training.state import TrainingState
from tests.training.test_loop import Make, interrupted


@pytest.mark.parametrize("flush", [1, 100])
def test_a_loss_that_is_not_finite_stops_the_run(toy_config: Make, tmp_path: Path, flush: int) -> None:
    config = toy_config(reference="toy-grid@broken=nan,at=5", steps=9, checkpoint_every=2, log_every=flush)
    with pytest.raises(NonFiniteError, match="loss_generator is nan at step 5"):
        train(config, tmp_path / "run")
    kept = checkpoint_folders(tmp_path / "run" / "checkpoints")
    assert [p.name for p in kept] == ["step-00000002", "step-00000004"]
    assert all(
        t.isfinite().all() for t in load_file(kept[-1] / "tensors.safetensors").values() if t.is_floating_point()
    )
    rows = list(read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(math.isfinite(row["loss_generator"]) for row in rows)


def test_a_parameter_that_is_not_finite_is_named_and_not_saved(toy_config: Make, tmp_path: Path) -> None:
    def poison(step: int, state: TrainingState) -> None:
        if step == 5:
            next(state.networks["generator"].parameters()).data[0, 0] = math.inf

    with pytest.raises(NonFiniteError, match=r"generator 0\.weight isn't finite after step 6|is nan at step 6"):
        train(toy_config(checkpoint_every=3), tmp_path / "run", on_step=poison)
    assert [p.name for p in checkpoint_folders(tmp_path / "run" / "checkpoints")] == ["step-00000003"]


def test_a_folder_in_use_is_refused(toy_config: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(toy_config(), out)
    with pytest.raises(ValueError, match="isn't empty; --resume continues the run in it, --overwrite deletes it"):
        train(toy_config(), out)
    train(toy_config(seed=4), out, overwrite=True)
    assert json.loads((out / "run.json").read_text())["config"]["seed"] == 4


def test_a_folder_that_is_no_run_is_never_deleted(toy_config: Make, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds 'thesis\.tex', which no run's folder has: nothing is deleted"):
        train(toy_config(), tmp_path, overwrite=True)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="nothing is deleted"):
        train(toy_config(), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ValueError, match="is a file"):
        train(toy_config(), tmp_path / "thesis.tex")


def test_a_mistake_writes_nothing_and_deletes_nothing(toy_config: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a batch of 100000 is larger than the data set: 90000"):
        train(toy_config(batch_size=100_000), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    train(toy_config(), tmp_path / "run")
    with pytest.raises(ValueError, match="unknown reference"):
        train(toy_config(reference="no-such-gan"), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "metrics.jsonl").exists()


def test_other_settings_are_listed(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(), tmp_path / "run")
    with pytest.raises(ValueError, match="can't be resumed") as caught:
        train(toy_config(seed=2, batch_size=4), tmp_path / "run", resume=True)
    assert "seed: the run has 0, asked was 2" in str(caught.value)
    assert "batch_size: the run has 8, asked was 4" in str(caught.value)
    with pytest.raises(ValueError, match="isn't a run's folder"):
        train(toy_config(), tmp_path / "nowhere", resume=True)


def test_a_checkpoint_of_another_run_is_refused(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(), tmp_path / "one")
    train(toy_config(reference="toy-grid@lr=0.5"), tmp_path / "two")
    shutil.rmtree(tmp_path / "one" / "checkpoints")
    shutil.copytree(tmp_path / "two" / "checkpoints", tmp_path / "one" / "checkpoints")
    with pytest.raises(ValueError, match="the checkpoint of step 8 doesn't fit") as caught:
        train(toy_config(), tmp_path / "one", resume=True)
    assert "reference: toy-grid@lr=0.5 in the checkpoint, toy-grid now" in str(caught.value)
    assert "optimizer of generator: lr: 0.5 in the checkpoint, 0.01 now" in str(caught.value)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(toy_config: Make, tmp_path: Path) -> None:
    whole = train(toy_config(), tmp_path / "whole")
    interrupted(toy_config(), tmp_path / "run", at=7)
    newest = checkpoint_folders(tmp_path / "run" / "checkpoints")[-1]
    tensors = newest / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-10])
    assert train(toy_config(), tmp_path / "run", resume=True).digests == whole.digests
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"{newest.name}/tensors.safetensors is damaged" in log
    assert "going back to step-00000003" in log


def test_a_full_disk_is_said_and_loses_nothing(
    toy_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    import harness.training.checkpoint as module

    write = getattr(module, "write_tensors")  # noqa: B009 - the module imports it, and doesn't export it
    monkeypatch.setattr(module, "write_tensors", lambda *a: write(*a) if "00000003" in str(a[0]) else full())
    with pytest.raises(OSError, match="its checkpoints are kept: No space left on device"):
        train(toy_config(), tmp_path / "run")
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000003"]
    monkeypatch.undo()
    resumed = train(toy_config(), tmp_path / "run", resume=True)
    assert resumed.digests == train(toy_config(), tmp_path / "whole").digests


def test_run_json_says_what_ran_where(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(), tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert content["config"]["reference"] == "toy-grid"
    assert content["data"] == "3×3 Gaussian grid"
    assert content["environment"]["versions"]["torch"]


def test_a_run_is_restored_for_sampling(toy_config: Make, tmp_path: Path) -> None:
    run = train(toy_config(), tmp_path / "run")
    restored = restore_run(tmp_path / "run", torch.device("cpu"))
    assert restored.step == 8
    for role, network in run.networks.items():
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, restored.networks[role].state_dict()[name])


def test_a_mistake_in_an_option_deletes_nothing(toy_config: Make, tmp_path: Path) -> None:
    train(toy_config(), tmp_path / "run")
    with pytest.raises(ValueError, match="Invalid learning rate"):
        train(toy_config(reference="toy-grid@lr=-1.0"), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "checkpoints" / "step-00000008").is_dir()


def test_leftovers_of_a_kill_are_no_obstacle_and_a_refusal_leaves_them(toy_config: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "checkpoints" / ".step-00000003.abc").mkdir(parents=True)
    (out / ".run.json.xyz").write_text("{")
    with pytest.raises(ValueError, match="isn't empty"):
        train(toy_config(), out)
    assert (out / ".run.json.xyz").exists()
    train(toy_config(), out, overwrite=True)
    (out / "checkpoints" / ".step-00000009.abc").mkdir()
    train(toy_config(steps=9), out, resume=True)
    assert not list(out.rglob(".*"))


def test_a_renamed_checkpoint_is_not_taken_for_another_step(toy_config: Make, tmp_path: Path) -> None:
    out = tmp_path / "run"
    whole = train(toy_config(), tmp_path / "whole")
    train(toy_config(steps=7), out)
    folder = out / "checkpoints"
    shutil.copytree(folder / "step-00000003", folder / "step-best")
    shutil.copytree(folder / "step-00000003", folder / "step-00000099")
    assert train(toy_config(), out, resume=True).digests == whole.digests
    assert "it was renamed; going back to step-00000007" in (out / "log.txt").read_text()
    assert (folder / "step-best").is_dir()
    assert not (folder / "step-00000099").exists()


@pytest.mark.parametrize("line", ["garbage", "[1]", '{"step": "1"}', "", '{"loss": 1}'])
def test_a_damaged_row_is_named(toy_config: Make, tmp_path: Path, line: str) -> None:
    out = tmp_path / "run"
    train(toy_config(), out)
    rows = (out / "metrics.jsonl").read_text().splitlines()
    (out / "metrics.jsonl").write_text("\n".join([*rows[:3], line, *rows[3:]]) + "\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 4 is damaged"):
        train(toy_config(steps=9), out, resume=True)


@pytest.mark.parametrize(
    "change",
    [{"config": []}, {"config": "abc"}, {"data": 1, "data_fingerprint": 1}, {"config": {"seed": "x"}}],
)
def test_a_damaged_run_file_is_named(toy_config: Make, tmp_path: Path, change: dict[str, Any]) -> None:
    out = tmp_path / "run"
    train(toy_config(), out)
    content = json.loads((out / "run.json").read_text())
    broken = {"config": change["config"]} if "config" in change else {"config": content["config"]}
    (out / "run.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        train(toy_config(), out, resume=True)


def test_a_picture_with_sixteen_bits_or_too_many_pixels_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    Image.new("I;16", (64, 64), 1000).save(folder / "1.png")
    config = RunConfig("pytorch-dcgan-celeba", 0, 1, steps=1, data_root=str(tmp_path), tensorboard=False, workers=0)
    with pytest.raises(ValueError, match=r"1\.png can't be read as an image: I;16 pixels of more than 8 bits"):
        train(config, tmp_path / "run")


def test_a_run_of_three_epochs_makes_one_delivery_and_so_one_copy_stream(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[DeviceTransfer] = []

    class Counted(DeviceTransfer):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr("harness.training.loop.DeviceTransfer", Counted)
    run = train(toy_config(epochs=3, batch_size=20_000), tmp_path / "run")
    assert run.steps == 3 * run.steps_per_epoch
    assert len(made) == 1


def test_a_run_that_has_more_steps_than_asked_for_is_refused_and_left_alone(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    train(toy_config(steps=8), tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(ValueError, match=r"run has 8 steps already, more than the 5 asked for$"):
        train(toy_config(steps=5), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert train(toy_config(steps=8), tmp_path / "run", resume=True).steps == 8


def test_checkpoints_by_the_clock_change_no_bit(toy_config: Make, tmp_path: Path) -> None:
    plain = train(toy_config(steps=6, checkpoint_every=0), tmp_path / "plain")
    often = toy_config(steps=6, checkpoint_every=0, checkpoint_minutes=1e-9, keep_checkpoints=9)
    clocked = train(often, tmp_path / "clocked")
    assert len(checkpoint_folders(tmp_path / "plain" / "checkpoints")) == 1
    assert len(checkpoint_folders(tmp_path / "clocked" / "checkpoints")) == 6
    assert clocked.digests == plain.digests
    rare = toy_config(steps=6, checkpoint_every=0, checkpoint_minutes=60)
    train(rare, tmp_path / "rare")
    assert len(checkpoint_folders(tmp_path / "rare" / "checkpoints")) == 1


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf, True, "5"])
def test_what_is_no_number_of_minutes_is_refused(minutes: Any, toy_config: Make) -> None:
    with pytest.raises(ValueError, match="checkpoint_minutes must be a number more than 0, not "):
        toy_config(checkpoint_minutes=minutes)


def test_a_run_stops_when_it_is_told_so_and_goes_on(toy_config: Make, tmp_path: Path) -> None:
    whole = train(toy_config(steps=6), tmp_path / "whole")
    asked = iter([False, False, True])
    stopped = train(toy_config(steps=6), tmp_path / "run", stop_when=lambda: next(asked))
    assert (stopped.steps, stopped.asked) == (3, 6)
    assert train(toy_config(steps=6), tmp_path / "run", resume=True).digests == whole.digests
