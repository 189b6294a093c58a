"""`gan-harness doctor --address`: what every node of a cluster has, and what differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cli.nodes import Node, differences
from harness.records.environment import environment
from tests.processes import call
from tests.ray_cluster import cluster_of_two

ray = pytest.importorskip("ray", reason="Ray isn't installed: pip install 'gan-harness[ray]'")
ONE = Node("one", 1.0, environment(torch.device("cpu")), {"harness": "a", "reference": "b"}, {"mnist": "/data/MNIST"})


def test_nodes_that_are_the_same_have_no_differences() -> None:
    assert differences([ONE, replace(ONE, name="two", gpus=8.0)]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"facts": {**ONE.facts, "device": "T4"}}, f"device: {ONE.facts['device']} on one, T4 on two"),
        ({"code": {"harness": "x", "reference": "b"}}, "the code of harness: a on one, x on two"),
        ({"data": {"mnist": "a stand-in"}}, "data: mnist: /data/MNIST on one, a stand-in on two"),
        ({"facts": {}, "fault": "No module named 'harness'"}, "two can't be asked: No module named 'harness'"),
    ],
)
def test_what_differs_is_a_line_with_both_nodes(change: dict[str, Any], said: str) -> None:
    assert differences([ONE, replace(ONE, name="two", **change)]) == [said]


def test_every_node_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with cluster_of_two() as (address, _):
        done = call(["doctor", "--address", address], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if str(ONE.facts["versions"]["torch"]) in line]
    assert len(rows) == 2, done.stdout
    assert "gaussian-grid" in rows[0]
    done = call(["doctor", "--address", "127.0.0.1:1"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("gan-harness: no Ray answers at 127.0.0.1:1: "), done.stderr
