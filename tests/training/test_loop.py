from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from harness.data import order
from harness.data.device_transfer import Delivery
from harness.data.packing import pack_of
from harness.training import NonFiniteError, RunConfig, train
from harness.training.checkpoint import checkpoint_folders
from harness.training.load_run import restore_run
from harness.training.run_folder import RunFolder, read_rows
from harness.training.state import TrainingState
from reference import LogSchedule
from tests import toys
from tests.data.samples import packed, write_pictures
from tests.processes import Life, call, in_a_process_of_its_own

ROOT = Path(__file__).parents[2]
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
        assert restore_run(tmp_path / "parts", torch.device("cpu"), print).networks["schedule"].done == 6


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
    restored = restore_run(tmp_path / "run", torch.device("cpu"), print)
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


def test_tied_weights_are_saved(toy_config: Make, tmp_path: Path) -> None:
    def tie(_: int, state: TrainingState) -> None:
        state.networks["generator"].register_buffer("twin", next(state.networks["generator"].parameters()).data)

    train(toy_config(steps=3), tmp_path / "run", on_step=tie)
    assert (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir()


def test_a_picture_with_sixteen_bits_or_too_many_pixels_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    Image.new("I;16", (64, 64), 1000).save(folder / "1.png")
    config = RunConfig("pytorch-dcgan-celeba", 0, 1, steps=1, data_root=str(tmp_path), tensorboard=False, workers=0)
    with pytest.raises(ValueError, match=r"1\.png can't be read as an image: I;16 pixels of more than 8 bits"):
        train(config, tmp_path / "run")


SMALL_FACES = "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=100"  # 4×4 pixels of each all along


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with three blocks of small pictures and the pack beside them."""
    root = tmp_path_factory.mktemp("faces")
    folder = write_pictures(root / "celeba_hq", 600, 16, 16)
    packed(folder, pack_of(folder, 16), 16)
    packed(folder, root / "elsewhere.safetensors", 16)
    return root


def on_faces(root: Path, **changes: Any) -> RunConfig:
    """Epochs of four steps, of which the last is smaller or left out."""
    given: dict[str, Any] = {
        "seed": 1,
        "batch_size": 140,
        "steps": 7,
        "data_root": str(root),
        "tensorboard": False,
        "pictures": False,
        "sample_every": 0,
        "checkpoint_every": 3,
        "threads": 1,
        "trace": True,
        "workers": 0,
    }
    return RunConfig(SMALL_FACES, **(given | changes))


def trace_of(config: RunConfig, out: Path, **how: Any) -> list[dict[str, Any]]:
    train(config, out, **how)
    return list(read_rows(out / "trace.jsonl"))


def log_of(out: Path) -> str:
    return (out / "log.txt").read_text()


@pytest.mark.parametrize("window", [0, 256, 300])
def test_packs_and_workers_change_no_bit(window: int, faces: Path, tmp_path: Path) -> None:
    first = trace_of(on_faces(faces, pack="never", shuffle_window=window), tmp_path / "first")
    assert len(first) == 7
    assert "reading the pack" not in log_of(tmp_path / "first")
    ways: list[dict[str, Any]] = [{"pack": "auto"}, {"pack": "auto", "workers": 2}]
    if window != 300:
        ways += [
            {"pack": str(faces / "elsewhere.safetensors"), "workers": 2, "prefetch": 5},
            {"pack": "never", "workers": 2},
            {"pack": "never", "workers": 1, "prefetch": 1, "persistent_workers": False, "skip_damaged": True},
        ]
    for number, way in enumerate(ways):
        out = tmp_path / str(number)
        assert trace_of(on_faces(faces, shuffle_window=window, **way), out) == first, way
        assert ("reading the pack" in log_of(out)) == (way["pack"] != "never")


def test_a_window_is_another_order(faces: Path, tmp_path: Path) -> None:
    """The saboteur of the tests of windows: they would pass if a window were no matter."""
    ends = [
        trace_of(on_faces(faces, shuffle_window=window, steps=1), tmp_path / str(window))[-1]["digests"]
        for window in (0, 256, 300)
    ]
    networks = [{key: value for key, value in end.items() if key.startswith("network/")} for end in ends]
    assert networks[0] != networks[1]
    assert networks[1] != networks[2]


@pytest.mark.parametrize(("at", "window"), [(1, 256), (3, 256), (4, 256), (5, 300), (6, 0)])
def test_resuming_with_another_pack_setting_gives_the_same_bits(
    at: int, window: int, faces: Path, tmp_path: Path
) -> None:
    """Stopped in the middle of a window or at an epoch's end, and gone on with in the other format."""
    whole = trace_of(on_faces(faces, shuffle_window=window), tmp_path / "whole")
    for name, before, after in (("to", "never", "auto"), ("from", str(faces / "elsewhere.safetensors"), "never")):
        interrupted(on_faces(faces, shuffle_window=window, pack=before), tmp_path / name, at)
        config = on_faces(faces, shuffle_window=window, pack=after, workers=2)
        assert trace_of(config, tmp_path / name, resume=True) == whole


def test_resuming_with_another_window_or_other_pictures_is_refused(faces: Path, tmp_path: Path) -> None:
    train(on_faces(faces, shuffle_window=256, steps=1), tmp_path / "run")
    with pytest.raises(ValueError, match="shuffle_window: the run has 256, asked was 512"):
        train(on_faces(faces, shuffle_window=512), tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="skip_damaged: the run has False, asked was True"):
        train(on_faces(faces, shuffle_window=256, skip_damaged=True), tmp_path / "run", resume=True)


def test_a_decided_window_is_written_down_and_said(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_faces(faces).shuffle_window is None
    monkeypatch.setattr(order, "_WINDOW_BYTES", 256 * 768 + 1)
    monkeypatch.setattr(order, "memory_limit", lambda: 600 * 768 * 2 - 2)
    train(on_faces(faces, steps=1), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["shuffle_window"] == 256
    assert "all samples don't fit into half of the memory: shuffling 256 at a time" in log_of(tmp_path / "run")
    monkeypatch.setattr(order, "memory_limit", lambda: 600 * 768 * 2)
    train(on_faces(faces, steps=1), tmp_path / "larger")
    assert json.loads((tmp_path / "larger" / "run.json").read_text())["config"]["shuffle_window"] == 0


NEW_KEYS = ("prefetch", "persistent_workers", "pin_memory", "pack", "skip_damaged", "shuffle_window")


def without_new_keys(out: Path) -> None:
    content = json.loads((out / "run.json").read_text())
    for key in NEW_KEYS:
        del content["config"][key]
    (out / "run.json").write_text(json.dumps(content))


def test_a_run_that_began_before_there_were_packs_can_be_resumed(faces: Path, tmp_path: Path) -> None:
    whole = trace_of(on_faces(faces, pack="never"), tmp_path / "whole")
    interrupted(on_faces(faces, pack="never"), tmp_path / "run", 5)
    without_new_keys(tmp_path / "run")
    assert trace_of(on_faces(faces), tmp_path / "run", resume=True) == whole


def test_a_run_on_large_data_that_began_before_there_were_windows_can_be_resumed(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `train --resume` does it: with the settings that the run's own file has."""
    whole = trace_of(on_faces(faces), tmp_path / "whole")
    interrupted(on_faces(faces), tmp_path / "run", 5)
    without_new_keys(tmp_path / "run")
    monkeypatch.setattr(order, "memory_limit", lambda: 1)
    config, _ = RunFolder(tmp_path / "run").read_run()
    assert trace_of(config, tmp_path / "run", resume=True) == whole


def test_killed_and_resumed_in_windows_equals_one_never_killed(faces: Path, tmp_path: Path) -> None:
    """Real SIGKILLs, between and in windows, with the pack and with the pictures."""
    arguments: list[str | Path] = [
        "train",
        SMALL_FACES,
        "--steps",
        "12",
        "--batch-size",
        "140",
        "--seed",
        "1",
        "--trace",
        "--shuffle-window",
        "256",
        "--data-root",
        faces,
        "--checkpoint-every",
        "1",
        "--sample-every",
        "0",
        "--no-tensorboard",
        "--no-pictures",
        "--threads",
        "1",
    ]
    whole = trace_of(on_faces(faces, shuffle_window=256, steps=12, pack="never"), tmp_path / "whole")
    out = tmp_path / "run"
    for rows, way in ((2, ("--pack", "auto")), (6, ("--pack", "never", "--workers", "0", "--resume"))):
        life = Life([*arguments, *way, "--out", out], ROOT)
        end = time.monotonic() + 60
        while not (out / "trace.jsonl").exists() or (out / "trace.jsonl").read_text().count("\n") < rows:
            assert time.monotonic() < end
            time.sleep(0.002)
        life.kill()
        assert life.wait(60) == -signal.SIGKILL, "the run ended before it was killed: it must be longer"
    done = call([*arguments, "--resume", "--out", out], ROOT)
    assert done.returncode == 0, done.stderr
    assert list(read_rows(out / "trace.jsonl")) == whole


@in_a_process_of_its_own
def test_a_loader_process_that_is_killed_while_this_one_trains_gets_one_line(faces: Path, tmp_path: Path) -> None:
    def kill(step: int, _: TrainingState) -> None:
        if step == 1:
            multiprocessing.active_children()[0].kill()
            time.sleep(1)

    config = on_faces(faces, pack="never", workers=2, steps=4)
    with pytest.raises(ValueError, match="a loader process ended"):
        train(config, tmp_path / "run", on_step=kill)


def test_a_stale_pack_is_said_in_the_log_and_the_pictures_are_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = write_pictures(root / "celeba_hq", 20, 16, 16)
    first = trace_of(on_faces(root, batch_size=8, steps=2), tmp_path / "first")
    packed(write_pictures(tmp_path / "others", 20, 12, 12), pack_of(folder, 16), 16)
    assert trace_of(on_faces(root, batch_size=8, steps=2), tmp_path / "stale") == first
    assert f"the pack {pack_of(folder, 16)} isn't used" in log_of(tmp_path / "stale")
    with pytest.raises(ValueError, match="doesn't hold what"):
        train(on_faces(root, batch_size=8, steps=2, pack=str(pack_of(folder, 16))), tmp_path / "asked")
    assert not (tmp_path / "asked").exists()


def run_json(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_the_number_of_threads_is_resolved_into_the_runs_file(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(toy_config(threads=None), tmp_path / "small")
    assert run_json(tmp_path / "small")["config"]["threads"] == run.threads == 1, "a toy's step is a small one"
    monkeypatch.setattr("harness.training.resolve.step_threads", lambda *_: 2)
    run = train(toy_config(threads=None), tmp_path / "larger")
    found = run_json(tmp_path / "larger")
    assert found["config"]["threads"] == found["environment"]["threads"] == run.threads == 2
    assert "2 threads" in log_of(tmp_path / "larger")


def test_a_run_goes_on_with_the_threads_that_it_began_with(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(threads=2, steps=4), out)
    run = train(toy_config(threads=None, steps=8), out, resume=True)
    assert run.threads == run_json(out)["config"]["threads"] == 2, "whatever this machine would take"
    with pytest.raises(ValueError, match=r"can't be resumed with other settings: threads: the run has 2, asked was 1"):
        train(toy_config(threads=1, steps=9), out, resume=True)


def test_a_run_from_before_threads_were_resolved_goes_on_with_those_that_its_machine_had(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(threads=2, steps=4), out)
    earlier = run_json(out)
    earlier["config"]["threads"] = None
    (out / "run.json").write_text(json.dumps(earlier))
    assert train(toy_config(threads=None, steps=8), out, resume=True).threads == 2


def test_going_on_under_another_version_or_precision_is_said(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(steps=4), out)
    earlier = run_json(out)
    earlier["environment"]["float32 products"] = "tf32"
    earlier["environment"]["versions"]["torch"] = "2.9.0"
    (out / "run.json").write_text(json.dumps(earlier))
    train(toy_config(steps=8), out, resume=True)
    said = next(line for line in log_of(out).splitlines() if "bits may be others" in line)
    assert "float32 products tf32, now ieee" in said
    assert "2.9.0" in said
    log = out / "log.txt"
    log.write_text("")
    train(toy_config(steps=9), out, resume=True)
    assert "bits may be others" not in log.read_text()


def test_a_run_of_three_epochs_makes_one_delivery_and_so_one_copy_stream(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Delivery] = []

    class Counted(Delivery):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr("harness.training.loop.Delivery", Counted)
    run = train(toy_config(epochs=3, batch_size=20_000), tmp_path / "run")
    assert run.steps == 3 * run.steps_per_epoch
    assert len(made) == 1


def test_a_gpu_that_cannot_be_used_is_said_and_not_passed_over(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.training.resolve.unusable_gpu", lambda: "the driver is older than needed")
    train(toy_config(device="auto", steps=1), tmp_path / "auto")
    assert "computing on the CPU: the driver is older than needed" in log_of(tmp_path / "auto")
    train(toy_config(device="cpu", steps=1), tmp_path / "asked")
    assert "computing on the CPU" not in log_of(tmp_path / "asked")
