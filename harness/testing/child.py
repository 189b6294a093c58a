"""A training in a process of its own: `python -m harness.testing.child MODULE:TRAIN SEED STEPS FOLDER ANSWER`."""

from __future__ import annotations

import importlib
import json
import sys
from functools import reduce
from pathlib import Path
from typing import Any

from harness.files.writing import write_text
from harness.testing.trained import digests_of


def main(target: str, seed: str, steps: str, folder: str, answer: str) -> None:
    """Train, and write the digests of what came of it."""
    module, _, name = target.partition(":")
    start: Any = importlib.import_module(module)
    train = reduce(getattr, name.split("."), start)
    found = digests_of(train(int(seed), int(steps), Path(folder)), Path(folder))
    write_text(Path(answer), json.dumps(dict(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
