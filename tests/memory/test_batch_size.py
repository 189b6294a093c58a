"""The search for the largest batch, sizes as people write them, and `gan-harness batch-size`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.memory.batch_size import (
    MIB,
    Trial,
    in_mib,
    largest_that_fits,
    parse_batch_sizes,
    parse_size,
    within_budget,
)
from harness.memory.cublas import Workspaces
from reference import get
from tests.cli.test_commands import run
from tests.comparison.test_compare import called
from tests.memory.conftest import estimate_once
from tests.toys import Toy

MLP, DCGAN = "mlp-gan-mnist", "handson-dcgan-mnist"
CARD = get(MLP).card
SAMPLES = 60_000
pytestmark = pytest.mark.usefixtures("estimates_once")


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_largest_is_that_of_brute_force(threshold: int, limit: int) -> None:
    asked: list[int] = []

    def fits(number: int) -> bool:
        asked.append(number)
        return number <= threshold

    found = largest_that_fits(fits, limit)
    assert found == max((n for n in range(1, limit + 1) if n <= threshold), default=0)
    assert len(set(asked)) == len(asked), "each number is asked for at most once"
    assert all(1 <= number <= limit for number in asked)


@given(st.integers(0, 2**40), st.integers(1, 2**40))
def test_the_search_takes_two_questions_for_each_doubling(threshold: int, limit: int) -> None:
    asked: list[int] = []

    def fits(number: int) -> bool:
        asked.append(number)
        return number <= threshold

    found = largest_that_fits(fits, limit)
    assert found == min(threshold, limit)
    assert len(asked) <= 2 * math.log2(max(found, 1)) + 3
    assert max(asked) <= limit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 2**30),
        ("8G", 8 * 2**30),
        ("8g", 8 * 2**30),
        ("8gb", 8 * 10**9),
        ("6GB", 6 * 10**9),
        ("512 MiB", 512 * 2**20),
        ("512MB", 512 * 10**6),
        ("0.5GiB", 2**29),
        (".5G", 2**29),
        ("1e9", 10**9),
        ("1E+9", 10**9),
        ("1e3K", 1000 * 1024),
        (" 570 MiB ", 570 * 2**20),
        ("2TiB", 2**41),
        ("64B", 64),
        ("1", 1),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: int) -> None:
    assert parse_size(text, "--budget") == size


@given(st.integers(1, 2**40))
def test_whole_numbers_of_bytes_and_mebibytes_come_back(size: int) -> None:
    assert parse_size(str(size), "--budget") == parse_size(f"{size}B", "--budget") == size
    assert parse_size(f"{size % 4096 + 1}MiB", "--budget") == (size % 4096 + 1) * MIB


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "-1GiB",
        "+1GiB",
        "0",
        "0GiB",
        "0.5",
        "8XB",
        "8 G B",
        "G",
        "nan",
        "inf",
        "1e400",
        "1e-9",
        "8,5G",
        "0x10",
        "8GiB/s",
        "٨G",
        "8\nG8",
        "9e30T",
    ],
)
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        parse_size(text, "--cuda-context")
    assert str(refused.value) == f"--cuda-context must be a size such as 8GiB, 512MiB or 6GB, not {text!r}"


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("64,128", [64, 128]), ("128,64,64", [64, 128]), (" 8 , 4 ", [4, 8]), ("60000", [60_000]), ("1", [1])],
)
def test_measuring_are_in_rising_order_each_once(text: str, sizes: list[int]) -> None:
    assert parse_batch_sizes(text, CARD, SAMPLES) == sizes


@given(st.lists(st.integers(1, SAMPLES), min_size=1))
def test_any_list_of_batch_sizes_is_read(sizes: list[int]) -> None:
    assert parse_batch_sizes(",".join(map(str, sizes)), CARD, SAMPLES) == sorted(set(sizes))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "a batch size must be 1 or more, not 0"),
        ("-4", "a batch size must be 1 or more, not -4"),
        ("64,-4", "a batch size must be 1 or more, not -4"),
        ("x", "a batch size must be a whole number, not 'x'"),
        ("1.5", "a batch size must be a whole number, not '1.5'"),
        ("", "a batch size must be a whole number, not ''"),
        ("64,,128", "a batch size must be a whole number, not ''"),
        ("64,", "a batch size must be a whole number, not ''"),
        ("64;128", "a batch size must be a whole number, not '64;128'"),
        ("64,60001", "a batch of 60001 is larger than the data set of mlp-gan-mnist: 60,000 samples"),
    ],
)
def test_what_is_no_batch_size_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        parse_batch_sizes(text, CARD, SAMPLES)
    assert str(refused.value) == said


def test_where_nobody_knows_the_number_of_samples_any_batch_goes() -> None:
    assert parse_batch_sizes("60001", CARD, None) == [60_001]


def reserved(batch_size: int, spec: str = MLP) -> int:
    return estimate_once(get(spec), batch_size).peak_reserved


def found_within(budget: int, context: int = 0, limit: int = SAMPLES) -> tuple[int, list[Trial]]:
    found = within_budget(get(MLP), budget, context, limit)
    return found.batch_size, list(found.tried)


def test_the_largest_batch_within_a_budget_fits_and_the_next_does_not() -> None:
    budget = 77 * MIB
    found, tried = found_within(budget)
    assert reserved(found) <= budget < reserved(found + 1)
    assert {(found, True), (found + 1, False)} <= {(one.batch_size, one.fits) for one in tried}
    for one in tried:
        assert one.estimated is not None
        assert one.fits == (one.estimated <= budget)
        assert one.measured is None
        assert one.driver is None
    assert {one.batch_size: one.estimated for one in tried}[found] == reserved(found)


def test_the_context_counts() -> None:
    one = reserved(1)
    alone, tried = found_within(one, limit=4)
    beside, tried_beside = found_within(one + 500 * MIB, 500 * MIB, limit=4)
    assert alone == beside >= 1
    assert [t.estimated for t in tried_beside] == [(t.estimated or 0) + 500 * MIB for t in tried]
    with pytest.raises(ValueError, match="holds no batch"):
        found_within(one, context=1)
    assert found_within(one + 1, context=1, limit=1)[0] == 1


def test_the_data_set_is_the_limit() -> None:
    found, tried = found_within(2**40, limit=3)
    assert found == 3
    assert [one.batch_size for one in tried] == [1, 2, 3]


def test_a_budget_below_the_weights_names_both() -> None:
    with pytest.raises(ValueError, match=r"1\.0 MiB is smaller than the weights of mlp-gan-mnist: 2\.1 MiB") as refused:
        found_within(MIB)
    assert "\n" not in str(refused.value)


def test_a_budget_that_holds_the_weights_and_no_sample_says_what_one_takes() -> None:
    with pytest.raises(ValueError, match=r"8\.0 MiB holds no batch of mlp-gan-mnist: 1 at a time takes \d+\.\d MiB"):
        found_within(8 * MIB)
    with pytest.raises(ValueError, match="holds no batch"):
        found_within(reserved(1) - 1)
    assert found_within(reserved(1), limit=1)[0] == 1


def test_the_command_prints_a_table_and_the_answer_and_draws_it(tmp_path: Path) -> None:
    curve = tmp_path / "curve.png"
    budget = reserved(2, DCGAN)
    shown = run("batch-size", DCGAN, "--budget", str(budget), "--plot", curve).stdout
    told = " ".join(shown.split())
    found = int(told.partition(f"the largest batch of {DCGAN} that fits: ")[2].split()[0])
    assert reserved(found, DCGAN) <= budget < reserved(found + 1, DCGAN)
    assert f"estimated for any CUDA device under torch {Workspaces.of().version}, without the CUDA context" in told
    assert f"budget {in_mib(budget)}" in told
    rows = [row.replace("│", " ").split() for row in shown.splitlines() if row.startswith("│")]
    verdicts = {row[0]: " ".join(row[6:]) for row in rows}
    assert verdicts[str(found)] == "fits"
    assert verdicts[str(found + 1)] == "too large"
    assert list(verdicts) == sorted(verdicts, key=int)
    with Image.open(curve) as image:
        assert image.format == "PNG"
        assert min(image.size) > 100


def test_the_command_says_what_it_left_for_the_context(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--budget", str(reserved(1, DCGAN) + 10 * MIB), "--cuda-context", "10MiB")
    assert called(monkeypatch, "batch-size", DCGAN, *arguments) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "with 10.0 MiB for the context" in told
    assert "the whole data set" not in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "cpu"), "such as --budget 8GiB"),
        (("--cuda-context", "500MiB"), "--cuda-context has no effect without --budget"),
        (("--budget", "1KiB"), "a budget of 0.0 MiB is smaller than the weights of mlp-gan-mnist: 2.1 MiB"),
        (("--budget", "8MiB"), "a budget of 8.0 MiB holds no batch of mlp-gan-mnist"),
        (("--budget", "80MiB", "--cuda-context", "79MiB"), "a budget of 80.0 MiB holds no batch of mlp-gan-mnist"),
        (("--budget", "rubbish"), "--budget must be a size such as 8GiB, 512MiB or 6GB, not 'rubbish'"),
        (("--budget", "80MiB", "--cuda-context", "rubbish"), "--cuda-context must be a size such as 8GiB"),
        (("--device", "cuda:99"), "the device 'cuda:99' isn't there"),
        (("--device", "tpu"), "unknown device 'tpu'"),
        (("--steps", "many"), "Invalid value for '--steps'"),
        (("--budget", "80MiB", "--reference-module", "no.module"), "'no.module' can't be imported"),
    ],
)
def test_mistakes_get_one_line(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "batch-size", MLP, *arguments) == 2
    one_line(capsys, said)


def test_an_unknown_reference_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "batch-size", "mlp-gan-mnits", "--budget", "8GiB") == 2
    one_line(capsys, "unknown reference 'mlp-gan-mnits'; did you mean mlp-gan-mnist")


def one_line(capsys: pytest.CaptureFixture[str], said: str) -> None:
    shown = capsys.readouterr()
    lines = shown.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("gan-harness: ")
    assert said in lines[0]
    assert shown.out.strip() == ""


def test_a_reference_that_takes_one_picture_only_has_a_largest_batch_of_one() -> None:
    """Its step refuses two."""
    found = within_budget(get("style-transfer@size=32"), 2**33, 0, 100)
    assert found.batch_size == 1
    assert [(one.batch_size, one.fits) for one in found.tried] == [(1, True), (2, False)]
    assert "not 2" in found.tried[1].why


def test_statistics_over_the_batch_begin_with_two() -> None:
    """Batch normalisation of vectors refuses a single one."""
    toy: Any = Toy()
    found = within_budget(toy, 2**33, 0, 7)
    assert found.batch_size == 7
    assert [one.batch_size for one in found.tried] == [2, 4, 7]
