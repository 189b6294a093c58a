"""The bits of a baseline: kept with its records, and enough to keep a change that has them still."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.comparison.bits import RevisionBits
from harness.comparison.first_steps import Computed
from harness.comparison.kept_bits import KEPT_BITS, bits_against, bits_sentence, keep_bits, without_checkpoints
from harness.files.writing import write_text
from harness.records.environment import environment
from harness.records.record import append_record
from harness.records.report_folder import ENVIRONMENT, Asked, write_session
from harness.training import RunConfig, train
from reference import source_digest
from tests.processes import call
from tests.records.test_record import record

ROOT = Path(__file__).parents[2]
TOY = Asked(("toy-grid",), ("tests.toys",), options=("--device=cpu",), code={"tests.toys": source_digest("tests.toys")})


def report(folder: Path, asked: Asked = TOY) -> Path:
    folder.mkdir(parents=True)
    append_record(folder / "records.jsonl", record())
    write_text(folder / ENVIRONMENT, json.dumps({"e": environment(torch.device("cpu"))}))
    write_session(folder, asked)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline with bits, made where no repository is, from a training that is kept."""
    folder = tmp_path_factory.mktemp("kept")
    config = RunConfig("toy-grid", seed=0, batch_size=8, steps=5, device="cpu", reference_modules=("tests.toys",))
    train(config, folder / "runs" / "toy-grid-seed0")
    report(folder / "report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT))
        assert keep_bits(folder / "report", folder / "report", 2, None, folder / "runs") == (
            "the bits of 1 references are kept"
        )
    return folder / "report"


def edited(kept: Path, to: Path, **changes: object) -> Path:
    """The same baseline, of which one line says something else."""
    report(to)
    header, line = (kept / KEPT_BITS).read_text(encoding="utf-8").splitlines()
    write_text(to / KEPT_BITS, f"{header}\n{json.dumps(json.loads(line) | changes)}\n")
    return to


def test_the_same_bits_are_kept_and_others_are_named(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def against(baseline: Path) -> RevisionBits:
        (found,) = bits_against(baseline, ["toy-grid", "another"], ["tests.toys"], "cpu", None)
        return found

    found = against(kept)
    assert (found.verdict, found.reason.partition(";")[0]) == (
        "kept (same bits)",
        "the first 2 steps of 1000, and after the checkpoints of steps 5",
    )
    assert bits_sentence([found]) == "Bits: kept (same bits), so nothing of them was trained: toy-grid."
    states = json.loads((kept / KEPT_BITS).read_text(encoding="utf-8").splitlines()[1])["states"]
    assert sorted(map(int, states)) == [1, 2, 6, 7]
    late = edited(kept, tmp_path / "late", states=states | {"7": dict.fromkeys(states["7"], "otherwise")})
    found = against(late)
    assert found.verdict == "other bits"
    assert "step 7" in bits_sentence([found])


def test_checkpoints_that_are_gone_take_their_states_along() -> None:
    states = {step: {"network/generator/0.weight": "ab"} for step in ("1", "2", "5001", "5002")}
    whole = Computed("toy-grid", 1000, states, (5000,))
    left = without_checkpoints(whole)
    assert (sorted(left.states), left.continued) == (["1", "2"], ())
    assert without_checkpoints(left) == left


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (replace(TOY, revision="a" * 40), "the report is of aaaaaaaaaaaa, here is no commit"),
        (replace(TOY, code={"tests.toys": "of old"}), "tests.toys has changed since"),
    ],
)
def test_bits_of_other_code_than_the_reports_are_not_kept(
    asked: Asked, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = report(tmp_path / "report", asked)
    assert keep_bits(folder, folder, 2, None, None) == f"no bits are kept: {why}"
    assert not (folder / KEPT_BITS).exists()


def test_bits_of_another_machine_are_neither_kept_nor_compared(kept: Path, tmp_path: Path) -> None:
    other = edited(kept, tmp_path / "other")
    write_text(other / ENVIRONMENT, json.dumps({"e": environment(torch.device("cpu")) | {"device": "another"}}))
    said = "no bits are kept: the report is of another machine, or of other versions"
    assert keep_bits(other, other, 2, None, None) == said
    assert bits_against(other, ["toy-grid"], ["tests.toys"], "cpu", None) == []


def test_a_report_that_says_nothing_of_its_code_keeps_no_bits(tmp_path: Path) -> None:
    assert "doesn't say of which code it is" in keep_bits(tmp_path, tmp_path, 2, None, None)


def test_damaged_bits_are_one_line(tmp_path: Path) -> None:
    write_text(report(tmp_path / "damaged") / KEPT_BITS, '{"references": 1}\n')
    with pytest.raises(
        ValueError, match=r"first_steps\.jsonl is damaged: .*`gan-harness baseline save` writes it anew"
    ):
        bits_against(tmp_path / "damaged", ["toy-grid"], [], "cpu", None)


def test_the_suites_train_nothing_that_has_the_baselines_bits(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    asked = [str(ROOT / "suites" / "test_modes.py"), "--rootdir", str(ROOT), "-p", "no:cacheprovider", "-rs"]
    asked += ["--reference-module", "tests.toys", "--references", "toy-grid", "--device", "cpu", "--seeds", "1"]
    done = call([*asked, "--report-dir", "here", "--baseline", str(kept)], tmp_path, timeout=600, program="pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept (same bits) as the baseline after the first steps: nothing is trained" in done.stdout
    assert "Bits: kept (same bits), so nothing of them was trained: toy-grid." in done.stdout
    assert not (tmp_path / "here" / "runs").exists()
    assert "**1 of 1 compute the same bits**" in (tmp_path / "here" / "comment.md").read_text(encoding="utf-8")
