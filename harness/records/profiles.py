"""How much each suite does: the same checks with other budgets, from this one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One row of the table.

    `training_flops` bounds a training: it stops at the document's length or when this many floating-point operations
    are spent, whichever comes first (None: always the document's length); where two steps would take more, the batch
    is smaller. Counting operations instead of seconds gives the same number of steps on every machine, for anybody's
    reference, without naming one. `rules_flops` bounds the training of either player alone in the same way; where it
    would take more, that rule is left out. `determinism_batch` None means the document's. With `reduced_steps`, a
    system whose card names a reduced form takes that form wherever it is trained, for this many steps; its record
    carries the reduced form's spec. `cell_flops` bounds the batch sizes that are measured on a CPU (the documents', or
    where those take too long the `cell_sizes` largest that don't), each for `cell_steps` steps or `cell_seconds`,
    whichever is over first; `profiled_batch` is the batch at which the profiler looks on. Loading is measured on
    `loading_pictures` pictures for `loading_seconds` a cell, by `loading_workers`, in batches of `warm_batch`, from a
    cold disk of `cold_batch` (None: the document's).
    Without `every_cell`, a CPU measures the systems of the documents' memory tables, and those asked for by name.
    Without `both_numerics`, a GPU checks the bits of trainings in deterministic mode alone and measures cells as
    documented alone, but the references of the memory table also deterministically at the batch that they train with.
    `pictures` says whether trainings end with theirs; sample grids there are always. Without `variants`, a run that
    isn't told which references to check leaves out the variants of systems. Without `reads_short_trainings`, trainings
    that end before the document's length check the code alone: no table shows what came of them. What isn't timed is
    done by `jobs` processes on a CPU, each with `threads` (None: as many as PyTorch takes); bits depend on how many.
    """

    name: str
    purpose: str
    training_flops: float | None
    training_seeds: int
    mode_seeds: int
    determinism_steps: int
    determinism_batch: int | None
    rules_flops: float | None
    rules_batch: int = 16
    rules_steps: int = 16
    reduced_steps: int | None = None
    mode_samples: int = 10_000
    latent_samples: int = 1000
    quality_samples: int = 10_000
    cell_flops: float | None = None
    cell_sizes: int = 3
    cell_steps: int = 50
    cell_seconds: float = 60.0
    profiled_batch: int = 16
    leak_steps: tuple[int, int] = (50, 200)
    speed_rounds: int = 50
    loading_pictures: int = 20_000
    warm_batch: int | None = None
    cold_batch: int | None = None
    loading_seconds: float = 10.0
    loading_workers: tuple[int, ...] = (0, 2, 4)
    every_cell: bool = True
    both_numerics: bool = True
    pictures: bool = True
    variants: bool = True
    reads_short_trainings: bool = True
    jobs: int = 1
    threads: int | None = None

    @property
    def trains_long(self) -> bool:
        """Whether trainings take most of the time, and not all about the same."""
        return self.training_flops is None or self.training_flops > _SHORT

    @property
    def interpolation_paths(self) -> int:
        """Paths between two latents."""
        return max(2, self.latent_samples // 50)

    @property
    def spread_samples(self) -> int:
        """Samples of which several are drawn, to see how they spread."""
        return max(2, self.latent_samples // 10)

    @property
    def translation_pairs(self) -> int:
        """Pairs of pictures that are translated."""
        return max(4, self.latent_samples // 10)


_SHORT = 1e12  # operations: half a minute of a processor's core
PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "smoke",
            "a laptop's CPU, bundled data, minutes",
            training_flops=5e9,
            training_seeds=1,
            mode_seeds=3,
            determinism_steps=3,
            determinism_batch=2,
            rules_flops=5e10,
            reduced_steps=10,
            latent_samples=50,
            quality_samples=96,
            cell_flops=2.5e8,
            cell_sizes=1,
            cell_steps=5,
            cell_seconds=0.3,
            profiled_batch=2,
            leak_steps=(1, 3),
            speed_rounds=3,
            loading_pictures=520,  # three blocks, the last a small one
            warm_batch=32,
            cold_batch=8,
            loading_seconds=0.1,
            loading_workers=(0, 2),
            every_cell=False,
            both_numerics=False,
            pictures=False,
            variants=False,
            reads_short_trainings=False,
            jobs=2,
            threads=1,
        ),
        Profile(
            "standard",
            "real data on a CPU, minutes to hours a system",
            training_flops=5e13,
            training_seeds=3,
            mode_seeds=3,
            determinism_steps=8,
            determinism_batch=16,
            rules_flops=5e13,
            cell_flops=1e11,
            cell_seconds=20.0,
            speed_rounds=20,
            loading_pictures=4096,
            loading_seconds=4.0,
        ),
        Profile(
            "documented",
            "the documents' own lengths and batch sizes, on a GPU",
            training_flops=None,
            training_seeds=5,
            mode_seeds=5,
            determinism_steps=20,
            determinism_batch=None,
            rules_flops=None,
        ),
    )
}


def get_profile(name: str) -> Profile:
    """The profile called `name`.

    Raises:
        ValueError: there is none; the message lists them.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"unknown profile {name!r}; there are: {', '.join(PROFILES)}") from None
