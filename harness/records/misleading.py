"""When a measure misleads: a line each, for the glossary and for whoever points at a column of a report."""

from __future__ import annotations

from harness.records.metrics import (
    AUTHENTICITY,
    CLASS_COVERAGE,
    CLASS_KL,
    COPIES,
    COVERAGE,
    DATA_COPYING,
    DENSITY,
    FID,
    FID_GAP,
    FID_INFINITE,
    HIGH_QUALITY,
    INCEPTION_SCORE,
    KID,
    LARGEST_STEP,
    LOOK_COVERAGE,
    LPIPS_DIVERSITY,
    MODES_CAPTURED,
    MODES_WITH_MASS,
    NN_DISTANCE_RATIO,
    NOTICED,
    PATH_LENGTH,
    PRECISION,
    RECALL,
    REVERSE_KL,
)

MISLEADS = {
    FID.name: (
        "two figures of other n, extractors or resizers differ without a difference of the images; on MNIST "
        "Inception's features say little"
    ),
    FID_INFINITE.name: "the line is drawn through few points: of a few hundred samples it can come out below 0",
    KID.name: "below 0 means as good as equal; rare kinds weigh little",
    INCEPTION_SCORE.name: "it never looks at real images: one perfect image of each class has the highest",
    PRECISION.name: (
        "samples near one real image count as good, be they all the same; an outlier among the real ones "
        "makes anything near it good"
    ),
    RECALL.name: "a few samples far off make wide balls that reach real images which nothing resembles",
    DENSITY.name: (
        "it rises above 1 when samples crowd where real images lie densest: a collapsed generator can have "
        "more than a good one"
    ),
    COVERAGE.name: "one sample covers a real image; how many there are plays no part, and more samples cover more",
    CLASS_COVERAGE.name: "it counts what an extractor takes samples for, also where they show nothing",
    CLASS_KL.name: "even classes may all be ugly",
    NN_DISTANCE_RATIO.name: "a median: copies show when they are more than half of the samples",
    COPIES.name: (
        "a copy that the extractor sees otherwise, moved by a pixel or with more noise, isn't counted; of few "
        "training images, which lie far apart, some new ones are"
    ),
    AUTHENTICITY.name: (
        "real images that were held out have no 1 either (0.67 on MNIST by mnistnet): compare with them; ugly "
        "samples are authentic"
    ),
    DATA_COPYING.name: "copies and samples that lie too far off cancel; a tenth of copies among 5,000 stays above −3",
    LOOK_COVERAGE.name: (
        "256 samples against 256 real ones by the values of 8×8 pixels: noise of ±0.03, and blind to what is smaller; "
        "the best of fifty looks lies above its own mean"
    ),
    NOTICED.name: "a training can be bad and give no alarm: samples that lie nowhere near the data haven't collapsed",
    FID_GAP.name: "copies of a few of many training images look like any others: it opens where these are few",
    LPIPS_DIVERSITY.name: "noise is diverse: above what two real images have it means flaws",
    MODES_CAPTURED.name: "one sample of ten thousand near a mode is enough",
    MODES_WITH_MASS.name: "a tenth of an even share is enough",
    HIGH_QUALITY.name: "one mode, drawn perfectly, has all of it",
    REVERSE_KL.name: "only samples of high quality count: a generator with few of them may look even",
    PATH_LENGTH.name: (
        "a generator that draws one picture has the shortest; units are the distance's, so that only figures "
        "of one distance can be compared"
    ),
    LARGEST_STEP.name: "a collapsed generator's paths are smooth",
}
