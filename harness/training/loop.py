"""The training loop: from what was resolved to a run folder, the same bits every time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from harness.data import Dataset, Loader
from harness.data.device_transfer import DeviceTransfer
from harness.data.loader import chunks_of
from harness.data.order import epoch_order
from harness.files.figures import save_picture
from harness.training.checkpoint import Checkpoint, differences, newest_checkpoint, write_checkpoint
from harness.training.logger import MetricLogger, NonFiniteError
from harness.training.networks import made_networks
from harness.training.resolve import Resolved
from harness.training.run_folder import RunFolder, drop_rows_after
from harness.training.sample_grids import FixedSamples, fixed_samples, save_summary, spread_over
from harness.training.state import TrainingState
from harness.training.streams import GeneratorNoise, Streams
from harness.training.system import System
from reference import Reference

_log = logging.getLogger(__name__)

OnStep = Callable[[int, TrainingState], None]


# Made of the loop once the run that is gone on with has been read, it is called after each step, before any checkpoint
# of it, and leaves no trace in the training.
Observe = Callable[["Loop"], Callable[[int], None]]


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
    batch_size: int
    seed: int
    threads: int
    digests: dict[str, str]


class Loop:
    """One call of `train`, after everything that a user can get wrong has been checked."""

    def __init__(
        self,
        resolved: Resolved,
        folder: RunFolder,
        on_step: OnStep | None,
        stop_when: Callable[[], bool] | None = None,
        observe: Observe | None = None,
    ) -> None:
        config, reference, device, dataset = resolved.config, resolved.reference, resolved.device, resolved.dataset
        self.config, self.reference, self.device, self.dataset = config, reference, device, dataset
        self.folder, self.on_step, self.workers = folder, on_step, resolved.workers
        self.card = reference.card
        self.steps_per_epoch, self.total = resolved.steps_per_epoch, resolved.total
        self.stopping, self._stop_when = False, stop_when
        self._observe = observe
        self._saved_at = time.monotonic()

        self.delivery = DeviceTransfer(dataset, device)
        self.streams = Streams(config.seed, device)
        with self.streams.initialising():
            networks = made_networks(reference)
        self.system = System(reference, {role: network.to(device) for role, network in networks.items()})
        self.networks = self.system.networks
        self.state = TrainingState(self.networks, self.system.optimizers, self.streams, self.system.schedulers)

    def run(self) -> TrainedRun:
        """All steps, or those until `stop`."""
        with self.streams.implicit(), self._loader() as self.loader:
            self._load()
            with MetricLogger(
                self.folder,
                self.total,
                self.state.step,
                tensorboard=self.config.tensorboard,
                trace=self.config.trace,
                averaged=self.card.log.averaged,
            ) as self.journal:
                self._announce()
                self.observer = self._observe(self) if self._observe else None
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
                self.config.batch_size,
                self.config.seed,
                torch.get_num_threads(),
                self.state.digests(),
            )

    def _loader(self) -> Loader:
        return Loader(
            self.dataset,
            workers=self.workers,
            prefetch=self.config.prefetch,
            persistent=self.config.persistent_workers,
            pin_memory=self.config.pin_memory and self.device.type == "cuda",
            scale=self.device.type == "cpu",
        )

    def _load(self) -> None:
        """Continue from the newest checkpoint that can be read; a run killed before its first starts again."""
        checkpoint = newest_checkpoint(self.folder.checkpoints)
        if checkpoint is not None:
            lines = differences(checkpoint.identity, self.identity())
            if lines:
                raise ValueError(f"the checkpoint of step {checkpoint.step} doesn't fit: " + "; ".join(lines))
            self.state.restore(checkpoint.tensors, checkpoint.scalars)
            self.saved_step = checkpoint.step
        else:
            self.saved_step = 0
            if self.folder.metrics.exists():
                _log.info("there is no checkpoint yet: starting again from the first step")
        self.began = self.state.step
        for path in (self.folder.metrics, self.folder.trace, self.folder.looks):
            drop_rows_after(path, self.state.step)
        for picture in self.folder.samples.glob("step-" + "[0-9]" * 8 + ".png"):
            if int(picture.stem.removeprefix("step-")) > self.state.step:
                picture.unlink()

    def _announce(self) -> None:
        done = f", from step {self.state.step} on" if self.state.step else ""
        steps = f"{self.total} steps ({self.steps_per_epoch} an epoch)"
        threads = "one thread" if self.config.threads == 1 else f"{self.config.threads} threads"
        _log.info(
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
            values = self.system.step(batch, noise)
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
        if self.observer:
            self.observer(step)
        if _due(config.checkpoint_every, None, step, last_of_epoch) or self._due_by_the_clock():
            self._checkpoint()
        if self.on_step is not None:
            self.on_step(step, self.state)
        if self._stop_when is not None and self._stop_when():
            self.stop()

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
        checkpoint = Checkpoint(self.state.step, self.identity(), self.state.scalars(), self.state.tensors())
        write_checkpoint(self.folder.checkpoints, checkpoint, self.config.keep_checkpoints)
        self.saved_step, self._saved_at = self.state.step, time.monotonic()

    def _due_by_the_clock(self) -> bool:
        minutes = self.config.checkpoint_minutes
        return minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes

    def identity(self) -> dict[str, str]:
        """What its checkpoints say of which run may go on with them."""
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
            _log.info(f"stopped after step {self.state.step} of {self.total}; --resume goes on from there")
            return
        if self.config.sample_every != 0:
            self._sample()
        if self.config.pictures:
            fixed = self._fixed()
            real = spread_over(self.dataset, len(fixed.samples)).data
            save_summary(self.folder, fixed, real, self.card.data_range)
        _log.info(f"{self.state.step} steps done; everything is in {self.folder.path}")

    def stop(self) -> None:
        """Finish after the step that is under way."""
        self.stopping = True


def _due(asked: int | None, documented: int | None, step: int, last_of_epoch: bool) -> bool:
    """Whether something with this cadence happens after `step`; without one it happens at the end of each epoch."""
    every = documented if asked is None else asked
    return last_of_epoch if every is None else every > 0 and step % every == 0
