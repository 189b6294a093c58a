"""A cluster of Ray's with two nodes, both on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial


@contextlib.contextmanager
def cluster_of_two() -> Iterator[tuple[str, Callable[[], None]]]:
    """Its address, and how to lose one of its nodes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = made.add_node(num_cpus=1)
        yield made.address, partial(made.remove_node, second, allow_graceful=False)
    finally:
        made.shutdown()
