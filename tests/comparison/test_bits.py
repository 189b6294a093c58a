from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.bits import bits_exit_code, compare_bits, without_first_steps
from harness.comparison.first_steps import Computed

ONE = Computed(
    "my-gan",
    8,
    {"1": {"network/generator/0.weight": "aa", "scalars": "00"}, "2": {"network/generator/0.weight": "ab"}},
    samples="cc",
    figures={"fid": 2.5, "kid": math.nan},
)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason", "code"),
    [
        ({}, "kept (same bits)", "the first 2 steps of 8; samples, 2 figures of them", 0),
        (
            {"states": {"1": ONE.states["1"], "2": {"network/generator/0.weight": "ad"}}},
            "other bits",
            "step 2: network/generator/0.weight (1 of 1 tensors differ)",
            0,
        ),
        ({"states": {"1": ONE.states["1"]}}, "other bits", "step 2 was done by only one of them", 0),
        ({"batch_size": 16}, "other bits", "steps of 8 and 16 samples", 0),
        ({"samples": "dd"}, "samples drawn otherwise", "from the same state after step 2", 0),
        ({"samples": "", "not_drawn": "no sample"}, "samples drawn otherwise", "no sample", 0),
        ({"figures": {"fid": 2.6, "kid": math.nan}}, "measured otherwise", "of the same samples: fid 2.5 and 2.6", 10),
        ({"figures": {"fid": 2.5}}, "measured otherwise", "of the same samples: kid nan and none", 10),
        (
            {"figures": {}, "not_measured": "it broke"},
            "measured otherwise",
            "of the same samples: measured and then it broke",
            10,
        ),
        ({"failed": "KeyError: 'x'"}, "not comparable", "candidate: KeyError: 'x'", 1),
    ],
)
def test_what_bits_say(changes: dict[str, Any], verdict: str, reason: str, code: int) -> None:
    """What trainings must tell is left to their verdict, and no alarm yet."""
    (found,) = compare_bits([ONE], [dataclasses.replace(ONE, **changes)])
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.is_open == (verdict in ("other bits", "samples drawn otherwise"))
    assert bits_exit_code([found]) == code


def test_what_failed_before_as_well_is_no_alarm() -> None:
    broken = dataclasses.replace(ONE, failed="ValueError: no data")
    (found,) = compare_bits([broken], [broken])
    assert (found.verdict, bits_exit_code([found])) == ("not comparable", 10)
    assert found.reason == "base: ValueError: no data; candidate: ValueError: no data"


def test_what_only_one_side_has_is_said() -> None:
    other = dataclasses.replace(ONE, reference="another")
    assert [(c.reference, c.reason) for c in compare_bits([ONE], [other])] == [
        ("my-gan", "only the base has it"),
        ("another", "only the candidate has it"),
    ]


def test_later_checkpoints_are_told() -> None:
    later = dataclasses.replace(ONE, states={**ONE.states, "469": {"a": "b"}, "470": {"a": "c"}}, continued=[468])
    (found,) = compare_bits([later], [later])
    assert found.reason.startswith("the first 2 steps of 8, and after the checkpoints of steps 468; samples")
    moved = dataclasses.replace(later, states={**later.states, "470": {"a": "d"}})
    assert compare_bits([later], [moved])[0].reason == "step 470: a (1 of 1 tensors differ)"


def test_a_clone_of_before_has_no_first_steps(tmp_path: Path) -> None:
    """Somebody's own repository has no harness of its own: the installed one looks."""
    for name, files in {"own": (), "old": ("__init__",), "new": ("__init__", "comparison/first_steps")}.items():
        (tmp_path / name / "harness" / "comparison").mkdir(parents=True)
        for file in files:
            (tmp_path / name / "harness" / f"{file}.py").write_text("")
    assert without_first_steps({name: tmp_path / name for name in ("own", "old", "new")}) == ["old"]
