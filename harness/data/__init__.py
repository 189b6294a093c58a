"""Data sets: the real ones from a data root, and the bundled stand-ins that pass through the same loading code."""

from harness.data.dataset import Dataset
from harness.data.loader import Loader, batches, batches_per_epoch
from harness.data.openers import Reading
from harness.data.registry import Availability, availability, open_data, open_dataset

__all__ = [
    "Availability",
    "Dataset",
    "Loader",
    "Reading",
    "availability",
    "batches",
    "batches_per_epoch",
    "open_data",
    "open_dataset",
]
