"""The vocabulary: every metric that is measured here, and every key of a record's protocol. Each is declared once.

A metric has no parameters in its name: how many samples, which extractor, which batch size stand in the record. Where
one metric has several values for the same reference and seed, `by` names the keys of the protocol that tell them apart.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Better = Literal["higher", "lower", "equal", "none"]

# Keys of a protocol: what tells the values of one metric apart …
BATCHES = "batches"
CHECK = "check"
CLASS = "class"
DATA_SET = "data set"
DISTANCE = "distance"
EPOCH, STEP = "epoch", "step"
MODE = "mode"
MUTANT = "mutant"
NETWORK = "network"
PART = "part"
PATH = "path"
QUANTITY = "quantity"
RULE = "rule"
STATISTICS = "statistics"
ATTRIBUTE = "attribute"
TRAINING = "training"
TRAIT = "trait"
VARIATION = "variation"
WHEN = "when"
STORAGE, CACHE, FORMAT, WORKERS, WINDOW = "storage", "cache", "format", "workers", "window"
OPTION, OPTION_VALUE = "option", "value"
# … and what else decides whether two of them may be compared.
BATCH_NORM = "batch norm"
COMPUTED_ON = "computed on"
EXTRACTOR = "extractor"
NUMERICS = "numerics"
STEPS = "steps"
THREADS = "threads"
EXPECTED = "expected"
BY = "by"  # who counted
CLASSES = "classes"  # how many there are
DATA = "data"  # the fingerprint of what it was measured on
GENERATED = "generated"  # how many of those that were given
MEASURED_ON = "on"
TRAINED_ON = "trained on"  # the device, where it isn't the one that the record names
NOTICED_BY, WHAT = "suite", "what"  # of a mutant

RUNNING = "running"  # of STATISTICS: batch normalisation's running ones, where a sample takes the batch's
UNTRAINED = "none"  # of TRAINING: before the first step
BEST = "best"  # of TRAINING: where a watchdog saw most of the data covered, which need not be the end
AS_DOCUMENTED = "as documented (cudnn.benchmark)"  # of NUMERICS
DETERMINISTIC = "deterministic"

METRICS: dict[str, Metric] = {}


@dataclass(frozen=True)
class Metric:
    """What is measured.

    Attributes:
        name: as records and claims have it.
        unit: of its values; "" for a pure number.
        better: which direction is an improvement; `equal`: only the right value is right; `none`: neither.
        title: how a table heads it.
        by: keys of the protocol that tell its values for one reference and seed apart.
        headline: the gate tests it unless told otherwise; each such metric costs all others power.
        worst: the worst value that there is: a change for the worse can't show there.
    """

    name: str
    unit: str
    better: Better
    title: str
    by: tuple[str, ...] = ()
    headline: bool = False
    worst: float | None = None

    def __post_init__(self) -> None:
        if self.name in METRICS:
            raise ValueError(f"two metrics are called {self.name!r}")
        METRICS[self.name] = self


@dataclass(frozen=True)
class MetricValue:
    """One measured value; `protocol` holds what decides whether another may be held against it.

    `epochs` is after how much training, where that isn't what stands beside all others of a training.
    """

    metric: Metric
    value: float
    protocol: Mapping[str, str] = field(default_factory=dict)
    epochs: float | None = None

    def at(self, training: str, epochs: float) -> MetricValue:
        """The same of another moment of a training than its end."""
        return replace(self, protocol={**self.protocol, TRAINING: training}, epochs=epochs)


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        ValueError: there is none; the message says what is close.
    """
    if name in METRICS:
        return METRICS[name]
    close = difflib.get_close_matches(name, METRICS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(sorted(METRICS))}"
    raise ValueError(f"no metric is called {name!r}; {hint}")


def series(metric: str, protocol: Mapping[str, str]) -> str:
    """What a value is one of: the metric, and what tells it from others of its reference; `class_share [class 3]`."""
    known = METRICS.get(metric)
    keys = [key for key in known.by if key in protocol] if known else []
    return metric + (f" [{'; '.join(f'{key} {protocol[key]}' for key in keys)}]" if keys else "")


# Sample quality.
_QUALITY = (STATISTICS, TRAINING)
FID = Metric("fid", "", "lower", "FID", _QUALITY, headline=True)
FID_INFINITE = Metric("fid_inf", "", "lower", "FID, n → ∞", _QUALITY)
KID = Metric("kid", "", "lower", "KID", _QUALITY, headline=True)
INCEPTION_SCORE = Metric("inception_score", "", "higher", "IS", _QUALITY)
PRECISION = Metric("precision", "share", "higher", "precision", _QUALITY, headline=True, worst=0.0)
RECALL = Metric("recall", "share", "higher", "recall", _QUALITY, headline=True, worst=0.0)
DENSITY = Metric("density", "ratio", "higher", "density", _QUALITY, worst=0.0)
COVERAGE = Metric("coverage", "share", "higher", "coverage", _QUALITY, worst=0.0)
CLASS_COVERAGE = Metric("class_coverage", "classes", "higher", "classes covered", _QUALITY, worst=1.0)
CLASS_KL = Metric(
    "class_kl_to_uniform", "nats", "lower", "KL to even classes (nats)", _QUALITY, headline=True, worst=math.log(10)
)
SHARE_OF_0_3_8 = Metric("share_of_0_3_8", "share", "none", "share of 0, 3, 8", _QUALITY)
CLASS_SHARE = Metric("class_share", "share", "none", "share of a class", (CLASS, *_QUALITY))
NN_DISTANCE_RATIO = Metric("nn_distance_ratio", "ratio", "none", "distance to training images", _QUALITY)
COPIES = Metric("copies", "share", "lower", "copies of training images", _QUALITY)
AUTHENTICITY = Metric("authenticity", "share", "higher", "authentic", _QUALITY)
DATA_COPYING = Metric("c_t", "standard deviations", "none", "C_T", _QUALITY)
FID_GAP = Metric("fid_gap", "", "lower", "FID, held out − training", _QUALITY)
LPIPS_DIVERSITY = Metric("lpips_diversity", "", "none", "LPIPS between samples", (TRAINING,))
EXTRACTOR_ACCURACY = Metric("extractor_accuracy", "share", "higher", "accuracy of an extractor", (ATTRIBUTE,))
FOUND_INCOMPARABLE = Metric("found_incomparable", "yes/no", "higher", "called not comparable")

# Modes of the grid.
MODES_CAPTURED = Metric("modes_captured", "modes", "higher", "modes hit", (TRAINING,))
MODES_WITH_MASS = Metric("modes_with_mass", "modes", "higher", "modes with mass", (TRAINING,), headline=True, worst=0.0)
HIGH_QUALITY = Metric(
    "high_quality_fraction", "share", "higher", "high quality share", (TRAINING,), headline=True, worst=0.0
)
REVERSE_KL = Metric("reverse_kl", "nats", "lower", "reverse KL (nats)", (TRAINING,))
SPREAD_RATIO = Metric("spread_ratio", "ratio", "none", "spread / σ", (TRAINING,))
MODE_SHARE = Metric("mode_share", "share", "none", "share of a mode", (MODE, TRAINING))
MODE_SPREAD = Metric("mode_spread", "ratio", "none", "spread of a mode / σ", (MODE, TRAINING))

# What a watchdog saw.
NOTICED = Metric("noticed_while_training", "times", "none", "noticed while training")
LOOK_COVERAGE = Metric("look_coverage", "share", "none", "covered at a look", (TRAINING,))

# Latents, labels, conditions.
PATH_LENGTH = Metric("perceptual_path_length", "", "lower", "perceptual path length", (DISTANCE,))
LARGEST_STEP = Metric("interpolation_largest_step", "random distances", "lower", "largest step of a path", (PATH,))
STYLE_SHARED = Metric("style_shared", "correlation", "higher", "style that a row shares", (TRAIT,))
REQUESTED_CLASS = Metric("requested_class_share", "share", "higher", "shows the requested class")
PROBE_ACCURACY = Metric("probe_accuracy", "share", "higher", "accuracy of the linear probe", (ATTRIBUTE,))
ENCODER_NEARER_OWN = Metric("encoder_nearer_own", "share of pairs", "higher", "E(G(z)) is nearer to its own z")
ROUND_TRIP_NEARER_OWN = Metric("round_trip_nearer_own", "share of pairs", "higher", "G(E(G(z))) is nearer to its own")
INPAINTING_ERROR = Metric("inpainting_error_over_mean_fill", "ratio", "lower", "error / that of a mean fill")
INPAINTING_SPREAD = Metric("inpainting_spread_over_latents", "pixel range", "none", "spread over latents")
TRANSLATION_ERROR = Metric("translation_error_ratio", "ratio", "lower", "error / that to another picture", (TRAINING,))
TRANSLATION_SPREAD = Metric("translation_spread_over_noise", "pixel range", "none", "spread over noise")
SEMANTIC_SHIFT = Metric("semantic_shift", "probability", "higher", "shift along a semantic vector", (ATTRIBUTE,))
SEMANTIC_CONTROL = Metric("semantic_shift_control", "probability", "none", "shift along a random vector", (ATTRIBUTE,))

# What a training logs.
STEPS_PER_EPOCH = Metric("steps_per_epoch", "steps", "equal", "steps in an epoch")
LOG_VALUE = Metric("log_value", "", "none", "value at a step that the document prints", (QUANTITY, EPOCH, STEP))
LAST_EPOCH_MEAN = Metric("last_epoch_mean", "", "none", "mean over the last epoch", (QUANTITY,))
GENERATOR_LOSS_ABOVE = Metric(
    "generator_loss_above_share", "share", "none", "share of steps in which the generator's loss is the larger"
)
TREND = Metric("trend", "rank correlation", "none", "trend over time", (QUANTITY,))
LAST_OVER_FIRST = Metric("last_over_first", "ratio", "none", "last value / first value", (QUANTITY,))

# What must hold.
SAME_BITS = Metric("same_bits", "yes/no", "higher", "the same bits", (VARIATION, NUMERICS))
STATE = "all of its state: SHA-256 "  # how the reason of the same bits begins
OTHER_BITS = Metric("other_bits", "yes/no", "higher", "other bits", (VARIATION, NUMERICS))
PARAMETERS = Metric("parameters", "parameters", "equal", "parameters, measured", (NETWORK,))
LAYER_MISMATCHES = Metric("layer_mismatches", "layers", "lower", "wrong layer shapes", (NETWORK,))
INITIAL_VALUE_MISMATCHES = Metric("initial_value_mismatches", "tensors", "lower", "wrong initial values", (NETWORK,))
OPTIMIZER_MISMATCHES = Metric("optimizer_mismatches", "settings", "lower", "wrong optimiser settings", (NETWORK,))
PRINTED_TEXT = Metric("printed_text", "yes/no", "higher", "printed text as documented", (NETWORK,))
REFUSAL_MISMATCHES = Metric("refusal_mismatches", "inputs", "lower", "wrong inputs accepted", (NETWORK,))
TRAINING_RULE = Metric("training_rule", "yes/no", "higher", "a rule is kept", (RULE,))
MUTANT_CAUGHT = Metric("mutant_caught", "yes/no", "higher", "a mutant is caught", (MUTANT,))
CONTROL_LEFT_ALONE = Metric("control_left_alone", "yes/no", "higher", "what isn't broken is left alone")
DEVICE_CHECK = Metric("device_check", "yes/no", "higher", "a check of the device", (CHECK, NUMERICS))
TENSORS_OVER_ESTIMATE = Metric("tensors_over_estimate", "ratio", "none", "tensors over estimate")

# Memory.
DRIVER_MIB = Metric("driver_mib", "MiB", "lower", "the driver's figure")
PEAK_RESERVED = Metric("peak_reserved_mib", "MiB", "lower", "reserved by PyTorch's allocator")
PEAK_ALLOCATED = Metric("peak_allocated_mib", "MiB", "lower", "allocated: tensors and workspaces")
TENSORS_MIB = Metric("tensors_mib", "MiB", "lower", "tensors")
WORKSPACES_MIB = Metric("workspaces_mib", "MiB", "lower", "allocated beyond tensors: workspaces")
CONTEXT_MIB = Metric("context_mib", "MiB", "lower", "context and libraries")
BARE_CONTEXT_MIB = Metric("bare_context_mib", "MiB", "lower", "the CUDA context before libraries are loaded")
PEAK_RSS = Metric("peak_rss_mib", "MiB", "lower", "resident in RAM")
PEAK_PART = Metric("peak_part_mib", "MiB", "none", "part of the peak", (PART,))
OTHER_PROCESSES = Metric("other_processes", "processes", "none", "other processes on the card")
CPU_PEAK_TENSORS = Metric("cpu_peak_tensors", "bytes", "none", "tensors at the peak, on the CPU")
CPU_PEAK_EVERYTHING = Metric("cpu_peak_everything", "bytes", "none", "everything at the peak, on the CPU")
LEAKED_BYTES = Metric("leaked_bytes", "bytes", "lower", "more bytes after more steps")

# Time.
STEP_MS = Metric("step_ms_median", "ms", "lower", "step, ms")
STEP_MS_Q1 = Metric("step_ms_q1", "ms", "none", "step, ms, lower quartile")
STEP_MS_Q3 = Metric("step_ms_q3", "ms", "none", "step, ms, upper quartile")
IMAGES_PER_SECOND = Metric("images_per_second", "1/s", "higher", "images/s", (STORAGE, CACHE, FORMAT, WORKERS))
DOCUMENTED_RUN_MINUTES = Metric("documented_run_minutes", "min", "lower", "the document's run, minutes")
EPOCH_TIME_RATIO = Metric("epoch_time_ratio", "ratio", "none", "time of an epoch / at another batch size", (BATCHES,))
THROTTLED = Metric("throttled", "yes/no", "none", "throttled")
MACHINE_FIGURES = {
    name: Metric(name, name.rpartition("_")[2], "none", name.replace("_", " "), (WHEN,))
    for name in (
        "sm_clock_mhz",
        "sm_clock_max_mhz",
        "memory_clock_mhz",
        "power_w",
        "power_limit_w",
        "temperature_c",
        "load_average",
        "processor_quota",
    )
}

# Loading.
_CELL = (STORAGE, CACHE, FORMAT, WORKERS)
READ_MB_PER_SECOND = Metric("read_mb_per_second", "MB/s", "none", "MB/s read", _CELL)
FIRST_BATCH_MS = Metric("first_batch_ms", "ms", "lower", "first batch, ms", _CELL)
CPU_SECONDS = Metric("cpu_s_per_1000_images", "s", "lower", "CPU s per 1,000", _CELL)
EPOCH_HOURS = Metric("epoch_hours", "h", "lower", "an epoch, h", (DATA_SET, *_CELL))
DISK_SEEKING = Metric("disk_seeking_share", "share", "none", "share of time in which the disk seeks", _CELL)
DISK_MOVING = Metric("disk_moving_share", "share", "none", "share of time in which the disk moves bytes", _CELL)
COMPUTING_RATE = Metric("computing_images_per_second", "1/s", "higher", "images/s that a step can use")
DISK_SPEED_UP = Metric("epoch_speed_up_ssd_over_hdd", "ratio", "higher", "an epoch on hdd / on ssd")
SAME_PICTURES = Metric("same_pictures", "yes/no", "equal", "the same values and order", (FORMAT, WORKERS, WINDOW))
OPTION_RATE = Metric("option_images_per_second", "1/s", "higher", "images/s", (OPTION, OPTION_VALUE))
OPTION_NEXT_EPOCH = Metric(
    "option_next_epoch_ms", "ms", "lower", "first batch of the next epoch, ms", (OPTION, OPTION_VALUE)
)
