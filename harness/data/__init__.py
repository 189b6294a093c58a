"""Data sets: the real ones from a data root, and the bundled stand-ins that pass through the same loading code."""

from harness.data.catalogue import Availability, availability, open_dataset
from harness.data.dataset import Dataset
from harness.data.loader import batches

__all__ = ["Availability", "Dataset", "availability", "batches", "open_dataset"]
