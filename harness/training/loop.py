"""The training loop: from a configuration to a run folder, the same bits every time."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from torch import nn

from harness.data import Dataset, Loader, Reading, batches_per_epoch, open_dataset
from harness.data.device_transfer import Delivery
from harness.data.loader import chunks_of, naming_dead_workers
from harness.data.order import decided_window, epoch_order
from harness.data.packed import PackedImages
from harness.files.figures import save_picture
from harness.files.writing import held
from harness.records.environment import CONVOLUTIONS, PRODUCTS, environment
from harness.training.checkpoint import Checkpoint, checkpoint_folders, differences, newest_checkpoint, write_checkpoint
from harness.training.config import RunConfig
from harness.training.device import numerics, resolve_device, unusable_gpu
from harness.training.flops import step_threads, takes_a_single_sample
from harness.training.logger import Journal, NonFiniteError
from harness.training.networks import made_networks
from harness.training.player import make_players
from harness.training.returned import check_values, made_optimizers
from harness.training.run_folder import RUN_FILE, RunFolder, drop_rows_after
from harness.training.sample_grids import FixedSamples, fixed_samples, save_summary, spread_over
from harness.training.schedules import make_schedulers
from harness.training.state import TrainingState
from harness.training.streams import GeneratorNoise, Streams
from reference import Card, Reference, get, load_module

__all__ = ["NonFiniteError", "TrainedRun", "train"]

OnStep = Callable[[int, TrainingState], None]
# Settings that may change between the parts of a resumed run, because they change no bit of it.
_FREE = {
    "steps",
    "epochs",
    "data_root",
    "workers",
    "log_every",
    "sample_every",
    "checkpoint_every",
    "keep_checkpoints",
    "sample_count",
    "tensorboard",
    "pictures",
    "trace",
    "reference_modules",
    "prefetch",
    "persistent_workers",
    "pin_memory",
    "pack",
}
# What the environment says that may change a run's bits.
_MOVES_BITS = ("device", "versions", "cudnn", CONVOLUTIONS, PRODUCTS)


@dataclass(frozen=True)
class TrainedRun:
    """A run that reached `steps` of `asked` steps (fewer when a signal stopped it), in `folder`."""

    folder: Path
    reference: Reference
    networks: dict[str, nn.Module]
    device: torch.device
    dataset: Dataset
    steps: int
    asked: int
    steps_per_epoch: int
    seed: int
    threads: int
    digests: dict[str, str]


def train(
    config: RunConfig,
    out: Path,
    *,
    resume: bool | Literal["auto"] = False,
    overwrite: bool = False,
    console: Console | None = None,
    on_step: OnStep | None = None,
    show_log: bool = True,
    stop_on_signal: bool = False,
) -> TrainedRun:
    """Train as `config` says, in the folder `out`, or go on with the run that is there.

    `resume` True goes on with a run; where a kill came before anything had begun it starts, and says so. "auto" starts
    also where there is no folder, or an empty one. Nobody else may write into the folder meanwhile.

    The console shows progress and, with `show_log`, the log's lines. `on_step` is called after every step with its
    number and the state; it may look, and may raise. With `stop_on_signal`, Ctrl-C or SIGTERM finishes the step, writes
    a checkpoint and returns.

    Raises:
        ValueError: a setting, a file or a folder that can't be used, named in one line.
        NonFiniteError: a loss or a parameter became NaN or infinite; the last good checkpoint is kept.
        OSError: the folder can't be written; what was complete stays.
    """
    for module in config.reference_modules:
        load_module(module)
    reference = get(config.reference)
    device = resolve_device(config.device)
    folder = RunFolder(out)
    afresh = ""
    if resume and folder.nothing_has_begun() and (resume == "auto" or folder.was_killed()):
        resume, afresh = False, "nothing had begun here: starting with the first step"
    if resume and not (out / RUN_FILE).is_file():
        raise ValueError(f"{folder.no_run}; --auto-resume starts where nothing has begun")
    threads = config.threads
    if threads is None and resume:
        threads = folder.read_run()[0].threads
    if threads is None:
        threads = step_threads(reference, config.batch_size, device)
    with numerics(device, deterministic=config.deterministic, threads=threads):
        # What can fail for a user's mistake comes before anything is written.
        dataset, decided = _open_data(config, reference.card, console)
        window = config.shuffle_window
        if window is None and resume:
            window = folder.read_run()[0].shuffle_window
        if window is None and not dataset.in_memory:
            window = decided_window(len(dataset), reference.card.data_shape)
            if window:
                decided.append(f"all samples don't fit into half of the memory: shuffling {window} at a time")
        window = window or 0
        if isinstance(dataset, PackedImages):
            if window:
                dataset.hold(window)
            else:
                dataset.map()
        if config.device == "auto" and device.type == "cpu" and unusable_gpu():
            decided.append(f"computing on the CPU: {unusable_gpu()}")
        config = dataclasses.replace(config, device=str(device), threads=threads, shuffle_window=window)
        facts = {"data": dataset.title, "data_fingerprint": dataset.fingerprint, "environment": environment(device)}
        if afresh:
            decided.append(afresh)
        if resume:
            folder.read_run()
        else:
            folder.check_free(overwrite=overwrite)
        with held(out):
            # Looked at again: until now another process may have been at it.
            if resume:
                decided += _check_resumable(folder, config, facts)
            else:
                folder.check_free(overwrite=overwrite)
            _check_last_batch(config, reference, dataset)
            loop = _Loop(config, reference, device, dataset, folder, console, on_step, show_log, decided)
            if resume:
                folder.clear_leftovers()
            else:
                folder.start()
            folder.write_run(config, facts)
            try:
                with (
                    naming_dead_workers(),
                    _noticing_signals(loop.stop) if stop_on_signal else contextlib.nullcontext(),
                ):
                    return loop.run()
            except OSError as error:
                why = error.strerror or error
                kept = ", its checkpoints are kept" if checkpoint_folders(folder.checkpoints) else ""
                raise OSError(
                    error.errno, f"writing the run failed{kept}: {why}", str(error.filename or out)
                ) from error


def _check_last_batch(config: RunConfig, reference: Reference, dataset: Dataset) -> None:
    """Refuse a last batch of one where the step takes two or more, as batch normalisation does."""
    card = reference.card
    if card.drop_last or len(dataset) % config.batch_size != 1 or config.batch_size == 1:
        return
    if not takes_a_single_sample(reference):
        raise ValueError(
            f"{len(dataset)} samples in batches of {config.batch_size} leave a last batch of 1, and the step of "
            f"{card.name} takes 2 or more, as batch normalisation does: choose another --batch-size, or `drop_last` "
            "in its card"
        )


def _open_data(config: RunConfig, card: Card, console: Console | None) -> tuple[Dataset, list[str]]:
    """The data, and what was decided on the way, in words."""
    decided: list[str] = []
    with _showing_progress(console) as progress:
        reading = Reading(config.pack, config.skip_damaged, decided.append, progress)
        dataset = open_dataset(card, Path(config.data_root) if config.data_root else None, reading)
        _ = dataset.fingerprint  # to know large data takes a while, the first time
    if config.batch_size > len(dataset):
        raise ValueError(f"a batch of {config.batch_size} is larger than the data set: {len(dataset)} samples")
    return dataset, decided


def _check_resumable(folder: RunFolder, config: RunConfig, facts: dict[str, Any]) -> list[str]:
    """Refuse what would make another run of it; what may change its bits and can't be helped is returned, in words."""
    earlier, earlier_facts = folder.read_run()
    saved, asked = earlier.to_json(), config.to_json()
    lines = [
        f"{key}: the run has {saved[key]}, asked was {asked[key]}"
        for key in asked
        if key not in _FREE and saved[key] != asked[key]
    ]
    if earlier_facts["data_fingerprint"] != facts["data_fingerprint"]:
        lines.append(
            f"data: the run has {earlier_facts['data']} ({earlier_facts['data_fingerprint']}), "
            f"found was {facts['data']} ({facts['data_fingerprint']})"
        )
    if lines:
        raise ValueError(f"{folder.path} can't be resumed with other settings: " + "; ".join(lines))
    before, now = earlier_facts["environment"], facts["environment"]
    moved = [f"{key} {before[key]}, now {now[key]}" for key in _MOVES_BITS if key in before and before[key] != now[key]]
    return [f"from here on bits may be others than on one machine: {'; '.join(moved)}"] if moved else []


class _Loop:
    """One call of `train`, after everything that a user can get wrong has been checked."""

    def __init__(
        self,
        config: RunConfig,
        reference: Reference,
        device: torch.device,
        dataset: Dataset,
        folder: RunFolder,
        console: Console | None,
        on_step: OnStep | None,
        show_log: bool,
        decided: list[str],
    ) -> None:
        self.config, self.reference, self.device, self.dataset = config, reference, device, dataset
        self.folder, self.console, self.on_step, self.show_log = folder, console, on_step, show_log
        self.decided = decided
        self.card = reference.card
        self.steps_per_epoch = batches_per_epoch(len(dataset), config.batch_size, drop_last=self.card.drop_last)
        self.total = config.steps or (config.epochs or 0) * self.steps_per_epoch
        self.stopping = False
        self.names: tuple[str, ...] | None = None

        self.delivery = Delivery(dataset, device)
        self.streams = Streams(config.seed, device)
        with self.streams.initialising():
            networks = made_networks(reference)
        self.networks = {role: network.to(device) for role, network in networks.items()}
        optimizers = made_optimizers(reference, self.networks)
        self.players = make_players(self.networks, optimizers)
        self.schedulers = make_schedulers(reference, optimizers)
        self.state = TrainingState(self.networks, optimizers, self.streams, self.schedulers)

    def run(self) -> TrainedRun:
        with self.streams.implicit(), self._loader() as self.loader:
            complaints = self._load()
            with Journal(
                self.folder,
                self.console,
                self.total,
                self.state.step,
                tensorboard=self.config.tensorboard,
                trace=self.config.trace,
                show_log=self.show_log,
                averaged=self.card.log.averaged,
            ) as self.journal:
                for text in (*self.decided, *complaints):
                    self.journal.say(text)
                self._announce()
                while self.state.step < self.total and not self.stopping:
                    self._epoch()
                self._finish()
            return TrainedRun(
                self.folder.path,
                self.reference,
                self.networks,
                self.device,
                self.dataset,
                self.state.step,
                self.total,
                self.steps_per_epoch,
                self.config.seed,
                torch.get_num_threads(),
                self.state.digests(),
            )

    def _loader(self) -> Loader:
        workers = self.config.workers
        return Loader(
            self.dataset,
            workers=(0 if self.dataset.in_memory else 2) if workers is None else workers,
            prefetch=self.config.prefetch,
            persistent=self.config.persistent_workers,
            pin_memory=self.config.pin_memory and self.device.type == "cuda",
            scale=self.device.type == "cpu",
        )

    def _load(self) -> list[str]:
        """Continue from the newest checkpoint that can be read; a run killed before its first starts again."""
        complaints: list[str] = []
        checkpoint = newest_checkpoint(self.folder.checkpoints, complaints.append)
        if checkpoint is not None:
            lines = differences(checkpoint.identity, self._identity())
            if lines:
                raise ValueError(f"the checkpoint of step {checkpoint.step} doesn't fit: " + "; ".join(lines))
            self.state.restore(checkpoint.tensors, checkpoint.scalars)
            self.saved_step = checkpoint.step
        else:
            self.saved_step = 0
            if self.folder.metrics.exists():
                complaints.append("there is no checkpoint yet: starting again from the first step")
        self.began = self.state.step
        for path in (self.folder.metrics, self.folder.trace):
            drop_rows_after(path, self.state.step)
        for picture in self.folder.samples.glob("step-" + "[0-9]" * 8 + ".png"):
            if int(picture.stem.removeprefix("step-")) > self.state.step:
                picture.unlink()
        return complaints

    def _announce(self) -> None:
        done = f", from step {self.state.step} on" if self.state.step else ""
        steps = f"{self.total} steps ({self.steps_per_epoch} an epoch)"
        threads = "one thread" if self.config.threads == 1 else f"{self.config.threads} threads"
        self.journal.say(
            f"{self.config.reference} on {self.dataset.title} ({len(self.dataset)} samples), seed {self.config.seed}, "
            f"batch {self.config.batch_size}, {steps} on {self.device}, {threads}{done}"
        )

    def _epoch(self) -> None:
        """The rest of the epoch that holds the next step."""
        order = epoch_order(len(self.dataset), self.config.shuffle_window or 0, self.streams.order)
        epoch, done = divmod(self.state.step, self.steps_per_epoch)
        noise = GeneratorNoise(self.streams.noise)
        chunks = chunks_of(order, self.config.batch_size, drop_last=self.card.drop_last)
        stored = self.loader.stored(chunks, self.streams.augmentation(epoch), skip=done)
        for step_in_epoch, batch in enumerate(self.delivery.batches(stored), done + 1):
            values = self.reference.step(self.players, batch, noise)
            self.names = check_values(self.reference, values, self.names)
            for scheduler in self.schedulers.values():
                scheduler.step()
            self.state.step += 1
            if self.state.step == self.began + 1:
                self.state.check_keepable()
            if step_in_epoch == self.steps_per_epoch:
                self.state.order = self.streams.order.get_state()
            self._after_step(epoch, step_in_epoch, values)
            if self.state.step == self.total or self.stopping:
                return

    def _after_step(self, epoch: int, step_in_epoch: int, values: dict[str, torch.Tensor]) -> None:
        step, config = self.state.step, self.config
        last_of_epoch = step_in_epoch == self.steps_per_epoch
        if config.log_every is None:
            logged = self.card.log.includes(step_in_epoch)
        else:
            logged = config.log_every > 0 and step % config.log_every == 0
        self.journal.add(step, epoch, step_in_epoch, values, logged=logged)
        if config.trace:
            self.journal.trace(step, self.state.digests())
        if _due(config.sample_every, self.card.sample_every, step, last_of_epoch):
            self._sample()
        if _due(config.checkpoint_every, None, step, last_of_epoch):
            self._checkpoint()
        if self.on_step is not None:
            self.on_step(step, self.state)

    def _sample(self) -> None:
        path = self.folder.samples / f"step-{self.state.step:08d}.png"
        if path.exists():
            return
        picture = self._fixed().picture(self.card.data_range)
        save_picture(path, picture)
        self.journal.picture("samples", picture, self.state.step)

    def _fixed(self) -> FixedSamples:
        return fixed_samples(
            self.reference, self.networks, self.dataset, self.streams, self.config.sample_count, self.config.seed
        )

    def _checkpoint(self) -> None:
        """Write one, unless something isn't finite: then the one before it stays the newest."""
        if self.saved_step == self.state.step or not self.config.keep_checkpoints:
            return
        self.journal.flush(durably=True)
        broken = self.state.first_non_finite()
        if broken is not None:
            raise NonFiniteError(f"{broken} isn't finite after step {self.state.step}")
        checkpoint = Checkpoint(self.state.step, self._identity(), self.state.scalars(), self.state.tensors())
        write_checkpoint(self.folder.checkpoints, checkpoint, self.config.keep_checkpoints)
        self.saved_step = self.state.step

    def _identity(self) -> dict[str, str]:
        config = self.config
        own = {
            "reference": config.reference,
            "seed": str(config.seed),
            "batch_size": str(config.batch_size),
            "data": self.dataset.fingerprint,
        }
        return own | self.state.identity()

    def _finish(self) -> None:
        self.journal.flush()
        self._checkpoint()
        if self.stopping and self.state.step < self.total:
            self.journal.say(f"stopped after step {self.state.step} of {self.total}; --resume goes on from there")
            return
        if self.config.sample_every != 0:
            self._sample()
        if self.config.pictures:
            fixed = self._fixed()
            real = spread_over(self.dataset, len(fixed.samples)).data
            save_summary(self.folder, fixed, real, self.card.data_range)
        self.journal.say(f"{self.state.step} steps done; everything is in {self.folder.path}")

    def stop(self) -> None:
        """Finish after the step that is under way."""
        self.stopping = True


def _due(asked: int | None, documented: int | None, step: int, last_of_epoch: bool) -> bool:
    """Whether something with this cadence happens after `step`; without one it happens at the end of each epoch."""
    every = documented if asked is None else asked
    return last_of_epoch if every is None else every > 0 and step % every == 0


@contextlib.contextmanager
def _showing_progress(console: Console | None) -> Iterator[Callable[[str], None]]:
    """Something to tell how far the opening of the data is; nothing shows while nothing takes long."""
    if console is None:
        yield lambda _: None
        return
    status = console.status("opening the data")

    def tell(text: str) -> None:
        status.update(text)
        status.start()

    try:
        yield tell
    finally:
        status.stop()


@contextlib.contextmanager
def _noticing_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within, the first Ctrl-C or SIGTERM calls `stop`; the second acts as usual."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, _: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop()

    try:
        for number in before:
            signal.signal(number, notice)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
