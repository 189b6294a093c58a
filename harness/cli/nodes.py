"""What every node of a Ray cluster has, before a run begins there: nodes that differ can't do one run together."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.data.registry import availability, data_root
from harness.records.environment import environment, moved_bits
from harness.suite.rays import cause_of, connected, import_ray
from reference import source_digest

_ANSWER_SECONDS = 120.0  # that a node gets to start a worker and to import PyTorch in it
_SAID = 200  # characters
STAND_IN = "a stand-in"
_HOLD = 0.001  # of a GPU, so that the card is seen


@dataclass(frozen=True)
class Node:
    """One node of a cluster.

    Attributes:
        name: as it calls itself.
        gpus: that Ray may give out there.
        facts: its `environment`; nothing where it couldn't be asked.
        code: digests of the packages there.
        data: what lies in its data root, by data set.
        fault: why it couldn't be asked, "" where it was.
    """

    name: str
    gpus: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


def nodes_at(address: str, root: Path | None) -> list[Node]:
    """All nodes that are alive, each asked in a worker of its own; `root` is looked up there.

    Raises:
        ValueError: Ray isn't installed, or nobody answers.
    """
    ray = import_ray()
    with connected(ray, address, 0):
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {}
        for node in (node for node in ray.nodes() if node["Alive"]):
            gpus = node["Resources"].get("GPU", 0.0)
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = ray.remote(_look).options(
                num_cpus=0, num_gpus=_HOLD if gpus else 0, scheduling_strategy=there, max_retries=0
            )
            asked[task.remote(root, gpus)] = (node["NodeManagerHostname"], gpus)
        ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS)
        return sorted((_answer(ray, one, *node) for one, node in asked.items()), key=lambda node: node.name)


def _look(root: Path | None, gpus: float) -> Node:
    """In a worker: what this node has."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    code = {name: source_digest(name) for name in ("harness", "reference")}
    data = {entry.dataset: entry.place if entry.found else STAND_IN for entry in availability(data_root(root))}
    return Node(platform.node(), gpus, environment(device), code, data)


def _answer(ray: Any, one: Any, name: str, gpus: float) -> Node:
    try:
        found: Node = ray.get(one, timeout=0)
    except Exception as error:  # whatever is wrong there
        return Node(name, gpus, fault=cause_of(error)[-_SAID:])  # of a failed import the end says what is missing
    return found


def differences(nodes: Sequence[Node]) -> list[str]:
    """A line for each thing that isn't the same on all nodes, or that keeps one from being asked."""
    said = [f"{node.name} can't be asked: {node.fault}" for node in nodes if node.fault]
    asked = [node for node in nodes if not node.fault]
    for node in asked[1:]:
        first = asked[0]
        pairs = [(name, one, other) for name, one, other in moved_bits(first.facts, node.facts)]
        for what, mine, theirs in (("the code of ", first.code, node.code), ("data: ", first.data, node.data)):
            pairs += [(what + key, mine.get(key), theirs.get(key)) for key in mine if mine.get(key) != theirs.get(key)]
        said += [f"{name}: {one} on {first.name}, {other} on {node.name}" for name, one, other in pairs]
    return said
