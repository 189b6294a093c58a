"""What looks at all that was recorded, from files, when every suite has run: pictures, and claims without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.data.mixtures import THE_GRID, modes_of
from harness.files.kept import kept_arrays
from harness.reporting.plots import save_curves, save_densities, save_strips
from harness.reporting.scorecard import silent_claims
from harness.suite.session import Session
from harness.training.sample_grids import picture_of
from reference import Modes

pytestmark = pytest.mark.closing
N = 10_000
SUITES = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} - {"closing"}


def drawn_points(modes: Modes) -> NDArray[np.float64]:
    """Points (10,000, 2) of the true distribution."""
    random, centres = np.random.default_rng(0), np.array(modes.centres)
    return centres[random.integers(len(centres), size=N)] + modes.deviation * random.standard_normal((N, 2))


def test_density_plot(suite: Session) -> None:
    points = kept_arrays(suite.folder("plots", "densities"))
    if not points:
        pytest.skip("nothing on the grid is to be shown")
    asked = [(subject.spec, modes) for subject in suite.subjects if (modes := modes_of(subject.card)) is not None]
    kinds = {modes: f"real: {spec}" for spec, modes in reversed(asked)} | {THE_GRID: "real"}
    shown = {modes for _, modes in asked} or {THE_GRID}  # of a golden generator alone
    reals = {title: drawn_points(modes) for modes, title in kinds.items() if modes in shown}
    reach = max(abs(value) for modes in shown for centre in modes.centres for value in centre)
    path = suite.folder("plots", "modes.png")
    save_densities(path, {**reals, **points}, limit=max(1.5, 1.2 * reach))
    assert path.stat().st_size > 1000


def test_sample_strips(suite: Session) -> None:
    strips = kept_arrays(suite.folder("plots", "strips"))
    if not strips:
        pytest.skip("no images are to be shown")
    path = suite.folder("plots", "quality.png")
    pictures = {
        spec: picture_of(torch.from_numpy(images).float() / 255, (0.0, 1.0), columns=len(images))
        for spec, images in strips.items()
    }
    save_strips(path, pictures)
    assert path.stat().st_size > 1000


def draw_curves(suite: Session, kind: str, name: str, none: str) -> None:
    courses = kept_arrays(suite.folder("plots", kind))
    if not courses:
        pytest.skip(none)
    path = suite.folder("plots", name)
    save_curves(path, courses)
    assert path.stat().st_size > 1000


def test_loss_curves(suite: Session) -> None:
    draw_curves(suite, "losses", "losses.png", "no training is to be shown")


def test_watchdog_curves(suite: Session) -> None:
    draw_curves(suite, "looks", "watchdog.png", "no training was looked at")


def test_every_claim_is_spoken_of(suite: Session) -> None:
    """No claim is passed over in silence: some suite has measured what it names, or says why not."""
    records = suite.records()
    missing = SUITES - suite.suites_set_aside - {record.suite for record in records}
    if missing:
        pytest.skip(f"not all suites were run: {', '.join(sorted(missing))}")
    silent = silent_claims(suite.cards, records)
    assert not silent, "; ".join(silent)
