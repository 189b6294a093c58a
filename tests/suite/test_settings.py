"""What `pytest suites/` is asked for: every option's mistakes are a line each, before anything is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.suite.settings import settings_from

USUAL: Mapping[str, Any] = {
    "--profile": "smoke",
    "--device": "auto",
    "--reference-module": [],
    "--engine": "here",
    "--resume": False,
}


def asked(**given: Any) -> Any:
    options = {**USUAL} | {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    return settings_from(options.get, Path("reports/latest"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"profile": "huge"}, "unknown profile 'huge'; there are: smoke, standard, documented"),
        ({"seeds": 0}, "--seeds must be 1 or more, not 0"),
        ({"first_seed": -1}, "--first-seed must be 0 or more, not -1"),
        ({"jobs": 0}, "--jobs must be 1 or more, not 0"),
        ({"step_ms": 0.0}, "--step-ms must be more than 0, not 0"),
        ({"storage": ["x=.", "x=.."]}, "two storages have one name: x, x"),
        ({"engine": "dask"}, "--engine must be one of here, ray, not 'dask'"),
        ({"address": "auto"}, "--address has no effect without --engine ray"),
        ({"gpus_per_run": 0.5}, "--gpus-per-run has no effect without --jobs N or --engine ray"),
        ({"retries": 2}, "--retries has no effect without --jobs N or --engine ray"),
        ({"engine": "ray", "retries": -1}, "--retries must be 0 or more, not -1"),
        ({"engine": "ray", "gpus_per_run": 1.5}, "--gpus-per-run must be a part of one, or a whole number, not 1.5"),
        ({"jobs": 2, "gpus_per_run": 0.0}, "--gpus-per-run must be a part of one, or a whole number, not 0"),
        ({"engine": "ray", "device": "cuda:1"}, "--device cuda:1 with --engine ray: each process is given its card; "),
        ({"jobs": 2, "device": "cuda:1"}, "--device cuda:1 with --jobs 2: each process is given its card; give "),
        ({"shard": "8/7"}, "--shard takes I/N with I from 1 to N, not 8/7"),
        ({"time_limit": "soon"}, "--time-limit takes 90s, 55m or 1h30m, not 'soon'"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}.*$") as error:
        asked(**given)
    assert "\n" not in str(error.value)


def test_what_is_asked_for_is_what_is_set() -> None:
    settings = asked(jobs=4, gpus_per_run=0.25, device="cuda", shard="2/3", time_limit="55m", storage=["ssd"])
    assert (settings.jobs, settings.gpus_per_run, settings.time_limit) == (4, 0.25, 3300)
    assert (settings.shard.number, settings.shard.count) == (2, 3)
    assert [storage.name for storage in settings.storages] == ["ssd"]
    assert asked().report_dir == Path("reports/latest")


def test_only_options_that_differ_are_said() -> None:
    assert asked().given() == ()
    assert asked(device="cpu", seeds=3, reference_module=["mine"], jobs=4).given() == (
        "--device=cpu",
        "--seeds=3",
        "--reference-module=mine",
    )
