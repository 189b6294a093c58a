from __future__ import annotations

from typing import Any

from harness.comparison.bits import RevisionBits
from harness.comparison.comment import MOST, comparison_comment, run_comment
from harness.comparison.permutation import permutation_test
from harness.comparison.verdicts import Comparison
from harness.records.record import Record

BASE, HEAD = (1.0, 1.1, 1.2, 1.3, 1.4), (2.0, 2.1, 2.2, 2.3, 2.4)
TEST = permutation_test(BASE, HEAD)


def comparison(verdict: Any, reason: str = "", metric: str = "fid") -> Comparison:
    return Comparison("my-gan", metric, BASE, HEAD, verdict, reason, TEST)


def test_what_got_worse_stands_first() -> None:
    text = comparison_comment("HEAD against main", [comparison("kept"), comparison("worse", "beyond chance", "kid")])
    rows = [line for line in text.splitlines() if line.startswith("| my-gan")]
    assert rows[0] == (
        f"| my-gan | kid | 1.2 (1 to 1.4) | 2.2 (2 to 2.4) | +1 | ± {(TEST.high - TEST.low) / 2:.3g} "
        "| **worse**: beyond chance |"
    )
    assert rows[1].endswith("| kept |")
    assert text.startswith("### HEAD against main\n\n**1 kept, 1 worse**")


def test_bits_are_told_apart_from_what_was_trained() -> None:
    bits = [
        RevisionBits("same", "kept (same bits)", "5 steps"),
        RevisionBits("other", "other bits", "step 1: network/generator"),
    ]
    text = comparison_comment("b against a", [], bits)
    assert "**1 of 2 compute the same bits**: same" in text
    assert "- `other`: other bits. step 1: network/generator" in text
    assert "| reference |" not in text


def failure(number: int, reason: str) -> Record:
    facts: dict[str, Any] = {"suite": "shapes", "reference": f"gan-{number}", "metric": "test_x", "value": None}
    return Record(
        **facts,
        unit="",
        better="none",
        status="failed",
        reason=reason,
        profile="smoke",
        data="",
        device="",
        environment="",
    )


def test_what_failed_is_named_with_its_reason() -> None:
    text = run_comment("The suites", {"passed": 3, "failed": 1}, [failure(1, "a | b\nc")], "Claims: none.")
    assert "**1 failed, 3 passed**" in text
    assert "| gan-1 | shapes: test_x | a \\| b c |" in text


def test_it_is_never_longer_than_a_comment_may_be() -> None:
    text = run_comment("The suites", {"failed": 2000}, [failure(n, "long " * 100) for n in range(2000)], "")
    assert len(text) <= MOST
    assert text.rstrip().endswith("more rows stand in the report.")
    assert run_comment("The suites", {}, [], "").startswith("### The suites\n\n**nothing ran**")
