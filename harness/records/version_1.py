"""Records of version 1, whose metrics carried n, extractor, class or layer in their names, in the words of today."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from harness.records import metrics as m
from harness.records.metrics import Metric

_QUALITY = {
    "fid": m.FID,
    "fid_inf": m.FID_INFINITE,
    "kid": m.KID,
    "is": m.INCEPTION_SCORE,
    "precision": m.PRECISION,
    "recall": m.RECALL,
    "class_coverage": m.CLASS_COVERAGE,
    "class_kl": m.CLASS_KL,
    "share_of_0_3_8": m.SHARE_OF_0_3_8,
    "class_share": m.CLASS_SHARE,
    "nearest_training_ratio": m.NN_DISTANCE_RATIO,
}
_RENAMED = {
    "modes_hq_9": m.MODES_CAPTURED,
    "modes_mass_9": m.MODES_WITH_MASS,
    "high_quality_share_9": m.HIGH_QUALITY,
    "reverse_kl_9": m.REVERSE_KL,
    "spread_ratio_9": m.SPREAD_RATIO,
    "accuracy": m.EXTRACTOR_ACCURACY,
    "not comparable": m.FOUND_INCOMPARABLE,
    "rule_kept": m.TRAINING_RULE,
    "peak_resident_mib": m.PEAK_RSS,
    "last_epoch_share_generator_loss_above": m.GENERATOR_LOSS_ABOVE,
    "reader_accuracy_classes": m.PROBE_ACCURACY,
}
_KEYS = {"reader": "probe"}  # of protocols
_SUITES = {"conduct": "training_rules"}
# A pattern, today's metric, and the key that each group of the pattern is the value of.
_PATTERNS: tuple[tuple[str, Metric, tuple[str, ...]], ...] = (
    (r"driver_memory_mb_b\d+", m.DRIVER_MIB, ()),
    (r"epoch_time_ratio_b(\d+)_to_b(\d+)", m.EPOCH_TIME_RATIO, (m.BATCHES,)),
    (r"epoch_hours_(\w+)", m.EPOCH_HOURS, (m.DATA_SET,)),
    (r"interpolation_largest_step(?:_(midpoints|spherical))?_\d+x\d+", m.LARGEST_STEP, (m.PATH,)),
    (r"style_shared_(stroke_width|slant)_\d+x\d+", m.STYLE_SHARED, (m.TRAIT,)),
    (r"requested_class_share_\d+", m.REQUESTED_CLASS, ()),
    (r"reader_accuracy_(\w+)", m.PROBE_ACCURACY, (m.ATTRIBUTE,)),
    (r"encoder_nearer_own_\d+", m.ENCODER_NEARER_OWN, ()),
    (r"round_trip_nearer_own_\d+", m.ROUND_TRIP_NEARER_OWN, ()),
    (r"inpainting_error_over_mean_fill_\d+", m.INPAINTING_ERROR, ()),
    (r"inpainting_spread_over_latents_\d+x\d+", m.INPAINTING_SPREAD, ()),
    (r"translation_error_ratio_\d+", m.TRANSLATION_ERROR, ()),
    (r"semantic_shift_control_(\w+)_\d+", m.SEMANTIC_CONTROL, (m.ATTRIBUTE,)),
    (r"semantic_shift_(\w+)_\d+", m.SEMANTIC_SHIFT, (m.ATTRIBUTE,)),
    (r"log_(.+)_e(\d+)_s(\d+)", m.LOG_VALUE, (m.QUANTITY, m.EPOCH, m.STEP)),
    (r"last_epoch_(.+)", m.LAST_EPOCH_MEAN, (m.QUANTITY,)),
    (r"last_over_first_(.+)", m.LAST_OVER_FIRST, (m.QUANTITY,)),
    (r"trend_(.+)", m.TREND, (m.QUANTITY,)),
    (r"same_bits_(\w+)", m.SAME_BITS, (m.VARIATION,)),
    (r"other_bits_(\w+)", m.OTHER_BITS, (m.VARIATION,)),
    (r"parameters_\w+", m.PARAMETERS, ()),
    (r"layer_mismatches_(\w+)", m.LAYER_MISMATCHES, (m.NETWORK,)),
    (r"initial_value_mismatches_(\w+)", m.INITIAL_VALUE_MISMATCHES, (m.NETWORK,)),
    (r"optimizer_mismatches_(\w+)", m.OPTIMIZER_MISMATCHES, (m.NETWORK,)),
    (r"refusal_mismatches_(\w+)", m.REFUSAL_MISMATCHES, (m.NETWORK,)),
    (r"printed_text_(\w+)", m.PRINTED_TEXT, (m.NETWORK,)),
)
_OF_QUALITY = re.compile(rf"({'|'.join(sorted(_QUALITY, key=len, reverse=True))})_[a-z]+_\d+k?(_running)?(_untrained)?")


def translated(name: str) -> tuple[Metric, dict[str, str]] | None:
    """Today's metric of a name of version 1, and what the name said beside; None for one that hasn't changed."""
    if found := _OF_QUALITY.fullmatch(name):
        running, untrained = found.group(2), found.group(3)
        told = ({m.STATISTICS: m.RUNNING} if running else {}) | ({m.TRAINING: m.UNTRAINED} if untrained else {})
        return _QUALITY[found.group(1)], told
    if name in _RENAMED or (name in _QUALITY and name not in m.METRICS):
        return _RENAMED.get(name) or _QUALITY[name], {}
    for pattern, metric, keys in _PATTERNS:
        if found := re.fullmatch(pattern, name):
            if metric is m.EPOCH_TIME_RATIO:
                return metric, {m.BATCHES: f"{found.group(1)} to {found.group(2)}"}
            groups = [group or "ends" for group in found.groups()]  # straight paths had no word for it
            return metric, dict(zip(keys, groups, strict=True))
    return None


def upgraded(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record of version 1, as JSON has it, in the form of version 2."""
    record = dict(values)
    if record.get("suite") in _SUITES:
        record["suite"] = _SUITES[record["suite"]]
    name = str(record.get("metric", ""))
    found = translated(name) or ((m.METRICS[name], {}) if name in m.METRICS else None)
    if found is None:
        return record
    metric, told = found
    calibration = record.get("better") == "none" or str(record.get("reference", "")).startswith("calibration: ")
    better = "none" if calibration else metric.better  # no direction of what is known
    protocol = dict(record.get("protocol") or {})
    unit = str(record.get("unit", ""))
    if metric is m.CLASS_COVERAGE and unit.startswith("of "):
        protocol[m.CLASSES] = unit.split()[1]
    for old, new in _KEYS.items():
        if old in protocol:
            protocol[new] = protocol.pop(old)
    return record | {"metric": metric.name, "unit": metric.unit, "better": better, "protocol": protocol | told}


def repeats(values: Mapping[str, Any]) -> bool:
    """Whether a record of version 1 says once more what another says: the driver's figure, named with its batch."""
    return (
        values.get("version", 1) == 1
        and re.fullmatch(r"driver_memory_mb_b\d+", str(values.get("metric", ""))) is not None
        and values.get("status") == "measured"
    )
