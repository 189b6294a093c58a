"""The documents' comparison of two disks, from records made by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from harness.loading.measure import DOCUMENTED, LMDB, PACKED
from harness.loading.record import (
    OWN,
    Computing,
    record_computing,
    record_speed_up,
)
from harness.records.metrics import DISK_SPEED_UP
from harness.records.record import Record, Status
from harness.reporting.recorder import Recorder
from harness.reporting.scorecard import decide_claim
from reference import Claim, get
from tests.loading.conftest import CELEBA, LSUN
from tests.loading.test_record import only, written
from tests.records.test_record import record


def read(storage: str, rate: float | None, form: str = DOCUMENTED, status: Status = "simulated", **more: Any) -> Record:
    protocol = {"storage": storage, "format": form, "workers": "4", "cache": "cold", "side": "64"}
    given: dict[str, Any] = {
        "suite": "loading",
        "reference": CELEBA,
        "metric": "images_per_second",
        "unit": "1/s",
        "status": status,
        "value": rate,
        "protocol": protocol | more.pop("protocol", {}),
        "data": "CelebA",
        "real_data": True,
    }
    return record(**(given | more))


def on_a_gpu(rate: float) -> Computing:
    return Computing(rate, "measured", torch.device("cuda"))


def test_what_a_disk_saves_is_bounded_by_what_a_step_can_use(recorder: Recorder, write: Any) -> None:
    record_speed_up(write, CELEBA, "celeba", [read("hdd", 50), read("ssd", 500)], on_a_gpu(100))
    found = only(recorder)
    assert (found.metric, found.value, found.status) == (DISK_SPEED_UP.name, 2.0, "simulated")
    assert found.reason.startswith("bound by loading on hdd and by computing on ssd")
    assert (found.data, found.real_data) == ("CelebA", True)


@pytest.mark.parametrize(("computing", "value"), [(1e6, 10.0), (10.0, 1.0)])
def test_loading_or_computing_alone_decides_where_it_is_slower_on_both(
    computing: float, value: float, recorder: Recorder, write: Any
) -> None:
    record_speed_up(write, CELEBA, "celeba", [read("hdd", 50), read("ssd", 500)], on_a_gpu(computing))
    assert only(recorder).value == value


@pytest.mark.parametrize(
    ("hdd", "ssd", "status"),
    [
        ("measured", "measured", "measured"),
        ("simulated", "measured", "simulated"),
        ("measured", "simulated", "simulated"),
    ],
)
def test_one_simulated_disk_makes_the_comparison_simulated(
    hdd: Status, ssd: Status, status: Status, recorder: Recorder, write: Any
) -> None:
    own = read(OWN, 300, status="measured")
    record_speed_up(
        write, CELEBA, "celeba", [own, read("hdd", 1, status=hdd), read("ssd", 40, status=ssd)], on_a_gpu(1e6)
    )
    assert (only(recorder).value, only(recorder).status) == (40, status)


def test_lsun_is_read_from_its_database_and_celeba_as_documented(recorder: Recorder, write: Any) -> None:
    records = [read("hdd", 10), read("ssd", 20), read("hdd", 10, LMDB), read("ssd", 70, LMDB), read("ssd", 999, PACKED)]
    record_speed_up(write, CELEBA, "celeba", records, on_a_gpu(1e6))
    record_speed_up(write, LSUN, "lsun-bedroom", records, on_a_gpu(1e6))
    assert [(r.value, r.protocol["format"]) for r in written(recorder)] == [(2, DOCUMENTED), (7, LMDB)]


NEAR = [
    read("hdd", 5, protocol={"cache": "warm"}),
    read("hdd", 5, protocol={"workers": "2"}),
    read("hdd", 5, PACKED),
    read("hdd", None, status="skipped", reason="still cached"),
    read("hdd", 5, metric="read_mb_per_second"),
]


@pytest.mark.parametrize(
    ("records", "missing", "hints"),
    [
        ([], ("hdd", "ssd"), ("--storage hdd, or hdd=FOLDER", "--storage ssd, or ssd=FOLDER")),
        ([read("ssd", 5)], ("hdd",), ("--storage hdd, or hdd=FOLDER",)),
        ([read("hdd", 5)], ("ssd",), ("--storage ssd, or ssd=FOLDER",)),
        ([read("ssd", 5), *NEAR], ("hdd",), ("still cached",)),
    ],
)
def test_without_both_disks_nothing_is_compared_and_it_says_what_is_lacking(
    records: list[Record], missing: tuple[str, ...], hints: tuple[str, ...], recorder: Recorder, write: Any
) -> None:
    record_speed_up(write, CELEBA, "celeba", records, on_a_gpu(100))
    found = only(recorder)
    assert (found.metric, found.value, found.status) == (DISK_SPEED_UP.name, None, "skipped")
    lacking = zip(missing, hints, strict=True)
    assert found.reason == "; ".join(f"no cold reading from {name}: {hint}" for name, hint in lacking)


def claim_of(spec: str) -> Claim:
    (claim,) = [claim for claim in get(spec).card.claims if claim.metric == DISK_SPEED_UP.name]
    return claim


@pytest.mark.parametrize(("value", "verdict"), [(33.0, "not reproduced"), (35.0, "reproduced")])
def test_two_real_disks_decide_the_claim_and_simulated_ones_never_do_but_are_shown(
    value: float, verdict: str, recorder: Recorder, write: Any
) -> None:
    for status in ("simulated", "measured"):
        chosen: Status = "measured" if status == "measured" else "simulated"
        record_speed_up(
            write, CELEBA, "celeba", [read("hdd", 1, status=chosen), read("ssd", value, status=chosen)], on_a_gpu(1e6)
        )
    simulated, measured = written(recorder)
    shown = decide_claim(CELEBA, claim_of(CELEBA), [simulated])
    assert (shown.verdict, shown.values) == ("not measured", ())
    assert f"simulated, which decides nothing: {value:.3g}, bound by loading on hdd" in shown.reason
    decided = decide_claim(CELEBA, claim_of(CELEBA), [simulated, measured])
    assert (decided.verdict, decided.values) == (verdict, (value,))


def test_a_lacking_disk_is_the_reason_on_the_scorecard(recorder: Recorder, write: Any) -> None:
    record_speed_up(write, CELEBA, "celeba", [read("ssd", 5)], on_a_gpu(100))
    judgement = decide_claim(CELEBA, claim_of(CELEBA), written(recorder))
    assert (judgement.verdict, judgement.reason) == ("not measured", only(recorder).reason)


def test_a_claim_on_lsun_is_not_decided_by_celebas_pictures(recorder: Recorder, write: Any) -> None:
    records = [read("hdd", 1, LMDB, "measured"), read("ssd", 30, LMDB, "measured")]
    record_speed_up(write, LSUN, "lsun-bedroom", records, on_a_gpu(1e6))
    assert decide_claim(LSUN, claim_of(LSUN), written(recorder)).verdict == "not measured"


def test_a_stated_time_that_makes_up_the_ratio_does_not_decide_a_claim(recorder: Recorder, write: Any) -> None:
    stated = dataclasses.replace(
        record_computing(write, CELEBA, get(CELEBA), 4, torch.device("cpu"), 1.0), device=torch.device("cuda")
    )
    disks = [read("hdd", 1000, status="measured"), read("ssd", 1e9, status="measured")]
    record_speed_up(write, CELEBA, "celeba", [*written(recorder), *disks], stated)
    assert decide_claim(CELEBA, claim_of(CELEBA), written(recorder)).verdict == "not measured"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_only_steps_on_a_gpu_decide_what_two_machines_differ_by(device: str, recorder: Recorder, write: Any) -> None:
    disks = [read("hdd", 1, status="measured"), read("ssd", 40, status="measured")]
    record_speed_up(write, CELEBA, "celeba", disks, Computing(1e6, "measured", torch.device(device)))
    expected = {"cpu": "not measured", "cuda": "reproduced"}[device]
    assert decide_claim(CELEBA, claim_of(CELEBA), written(recorder)).verdict == expected
