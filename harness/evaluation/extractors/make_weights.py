"""Make the bundled weights again: `python -m harness.evaluation.extractors.make_weights NAME …` (minutes each)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from harness.data.registry import data_root
from harness.evaluation.extractors.extractor import BUNDLED, train_weights, weights_hash, write_weights
from harness.evaluation.extractors.training_data import EXTRACTOR_DATA


def main(names: list[str]) -> None:
    """Train each extractor named by the recipe and write its weights beside this file."""
    logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    for name in names:
        data = EXTRACTOR_DATA[name](data_root(None))
        trained = train_weights(name, data)
        write_weights(Path(BUNDLED / f"{name}.safetensors"), trained, data)
        print(f"{name}: {weights_hash(trained.tensors)}, held-out accuracy {trained.accuracy:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
