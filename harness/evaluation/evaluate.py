"""What `gan-harness evaluate` does: a run, a folder of images or a function that makes them, to printed records."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.data import batches_per_epoch, open_data, open_dataset
from harness.data.registry import brings_data
from harness.data.registry import data_root as find_root
from harness.evaluation.compared import USUAL_N, framing_of, given_images, given_samples, is_strange, real_images
from harness.evaluation.evaluation_records import earlier_evaluations, write_evaluation, write_sheet
from harness.evaluation.judge import judge_of
from harness.evaluation.kept_generator import FACTS, read_golden
from harness.evaluation.metrics import COVERED
from harness.evaluation.mode_counters import MODE_SETS, card_of_modes, mode_counter, modes_asked
from harness.evaluation.options import EvaluateOptions
from harness.evaluation.perceptual import find_lpips, lpips_diversity
from harness.evaluation.protocol import evaluate_images
from harness.records.environment import CONVOLUTIONS, PRODUCTS, float32_precision
from harness.records.metrics import (
    BEST,
    CLASS,
    CLASS_SHARE,
    NUMERICS,
    STATISTICS,
    TRAINED_ON,
    TRAINING,
    MetricValue,
)
from harness.training.device import numerics_name, resolve_device
from harness.training.given_weights import (
    UNTOLD,
    WEIGHT_FILES,
    fits_line,
    read_weights,
    weighted_networks,
    without_weights,
)
from harness.training.load_run import restore_best, restore_run, run_data
from harness.training.networks import drawn_networks
from harness.training.run_folder import RUN_FILE, RunFolder, folder_name
from harness.training.sampler import Sampler
from reference import get, load_module


@dataclass(frozen=True)
class Evaluation:
    """The values, what they were measured on, and where their records lie; `n` of `given` images were compared.

    `kept` is where records that lay there have gone, None where none did; `why_no_start` says why a run's networks as
    they were drawn can't be measured, "" where they were; `note` is something to look at.
    """

    name: str
    data: str
    values: list[MetricValue]
    records: Path
    kept: Path | None
    n: int
    given: int
    why_no_start: str = ""
    note: str = ""

    @property
    def missing(self) -> list[str] | None:
        """The classes that have less than a tenth of an even share; None where there are no classes."""
        shares = [v for v in self.values if v.metric is CLASS_SHARE and not {STATISTICS, TRAINING} & v.protocol.keys()]
        few = [v.protocol[CLASS] for v in shares if v.value < COVERED / len(shares)]
        return few if shares else None


def evaluate(options: EvaluateOptions) -> Evaluation:
    """Measure the samples of a target and write their records, all of them or none.

    Raises:
        ValueError: something that can't be measured, in one line.
    """
    target = options.target
    for module in options.modules:
        load_module(module)
    device = resolve_device(options.device)
    if options.add and options.out is not None:
        earlier_evaluations(options.out)  # a folder that can't be added to is said before anything is measured
    if options.resize is not None and (_is_trained(target) or without_weights(target)[1] is not None):
        raise ValueError(f"--resize is for folders of pictures; what {target} draws has the size that its card says")
    if (Path(target) / RUN_FILE).is_file():
        return _evaluate_run(Path(target), options, device)
    if (Path(target) / FACTS).is_file():
        return _evaluate_kept(Path(target), options)
    spec, weights = without_weights(target)
    if weights is not None:
        return _evaluate_weights(spec, weights, options, device)
    if Path(target).suffix in WEIGHT_FILES:
        raise ValueError(f"{target} holds weights alone; {fits_line(read_weights(Path(target)))}")
    if not Path(target).is_dir() and ":" not in target and not target.endswith(".npy"):
        what = "a folder of a run, of a kept generator or of images"
        raise ValueError(f"{target!r} is neither {what}, nor module:callable")
    if modes_asked(options.against):
        return _evaluate_modes(target, options, device)
    if options.resize is not None and not any(Path(side).is_dir() for side in (target, options.against)):
        raise ValueError("--resize is for folders of pictures: neither side is one")
    if target.endswith(".npy"):
        raise ValueError(f"{target} is taken for points, and --against names no set of them: {', '.join(MODE_SETS)}")
    real, extractor = real_images(options, device)
    images, n, found = given_images(target, options, real)
    name = options.name or found
    folder = options.out or Path("runs") / "evaluated" / _place(options.name or target)
    drawn = {"images": "as given"}
    if Path(options.against).is_dir():
        drawn["extractor trained on"] = extractor.trained_on
    if (framing := framing_of(options)) is not None:
        drawn |= {f"pictures, {what}": said for what, said in framing.described().items()}
    strange = is_strange(options, real, extractor)
    values = evaluate_images(images, real, extractor, drawn, count=n, strange=strange)
    if lpips := find_lpips(options.extractor_weights, device):
        values.append(lpips_diversity(images, real.dataset, real.value_range, lpips))
    facts = {"reference": name, "seed": options.seed, "n": n}
    # How the images were computed isn't known here, and whoever looks at them computes in full float32.
    where, kept = write_evaluation(
        folder, values, facts, real.dataset, device, modules=options.modules, add=options.add
    )
    if framing is not None or not Path(target).is_dir():  # a folder's own can be looked at there
        write_sheet(where.parent, name, images)
    return Evaluation(name, real.dataset.title, values, where, kept, n, len(images))


def _evaluate_modes(target: str, options: EvaluateOptions, device: torch.device) -> Evaluation:
    """Points or pictures of one's own against a data set whose modes are known, by its own name or a reference's."""
    if options.extractor is not None or options.resize is not None:
        raise ValueError(f"--extractor and --resize play no part where modes of {options.against} are counted")
    root = find_root(options.data_root)
    if options.against in MODE_SETS:
        card = card_of_modes(options.against)
        dataset = open_dataset(card, root)
    else:
        chosen = get(options.against)
        card, dataset = chosen.card, open_data(chosen, root)
    counter = mode_counter(card, dataset, device, root, USUAL_N)
    samples, found = given_samples(target, options, card, options.count or counter.counted)
    values, name = counter.count(samples), options.name or found
    folder = options.out or Path("runs") / "evaluated" / _place(options.name or target)
    facts = {"reference": name, "seed": options.seed, "n": len(samples)}
    where, kept = write_evaluation(folder, values, facts, dataset, device, modules=options.modules, add=options.add)
    write_sheet(where.parent, name, samples if samples.dtype == torch.uint8 else None)
    return Evaluation(name, dataset.title, values, where, kept, len(samples), len(samples))


def _is_trained(target: str) -> bool:
    return any((Path(target) / file).is_file() for file in (RUN_FILE, FACTS))


def _evaluate_run(path: Path, options: EvaluateOptions, device: torch.device) -> Evaluation:
    if options.against or options.value_range:
        raise ValueError("--against and --range play no part for a run: its card says what it is held against")
    run = restore_run(path, device)
    card, config = run.reference.card, run.config
    dataset, root = run_data(run, options.data_root, options.pack)
    per_epoch = batches_per_epoch(len(dataset), config.batch_size, drop_last=card.drop_last)
    judge = judge_of(options, card, dataset, device, root)
    best = restore_best(path, device)
    at_best = []
    if best is not None and best.step != run.step:  # first, so that what the run came to is what is shown
        found = judge.measure(Sampler(best.reference, best.networks, device, options.seed))
        at_best = [value.at(BEST, best.step / per_epoch) for value in found]
    values = judge.measure(Sampler(run.reference, run.networks, device, options.seed)) + at_best
    for network in run.networks.values():
        network.cpu()  # they have said what they can, and the others need the room
    why_no_start = ""
    try:  # held against where it began: a training that is no better says nothing of a change
        begun = Sampler(run.reference, drawn_networks(run.reference, config.seed, device), device, options.seed)
        values += judge.measure_start(begun)
    except (ValueError, RuntimeError) as error:  # whatever it is, the trained one's figures stand
        why_no_start = " ".join(str(error).split())[:300]
    name = options.name or config.reference
    facts = {
        "reference": name,
        "seed": config.seed,
        "n": judge.n,
        "batch_size": config.batch_size,
        "epochs": run.step / per_epoch,
        "threads": config.threads,
    }
    where, kept = write_evaluation(
        options.out or path,
        values,
        facts,
        dataset,
        device,
        _computed(path, device),
        why_no_start,
        options.modules,
        add=options.add,
    )
    write_sheet(where.parent, name, judge.shown)
    title = f"{config.reference}, step {run.step}"
    return Evaluation(title, dataset.title, values, where, kept, judge.n, judge.n, why_no_start, judge.note())


def _evaluate_kept(path: Path, options: EvaluateOptions) -> Evaluation:
    """A kept generator, on the CPU, against the data that it was trained on."""
    if options.against or options.value_range:
        raise ValueError(
            "--against and --range play no part for a kept generator: its card says what it is measured by"
        )
    golden, device, root = read_golden(path), torch.device("cpu"), find_root(options.data_root)
    facts, card = golden.facts, golden.sampler.reference.card
    dataset = open_data(golden.sampler.reference, root)
    if dataset.fingerprint != facts.data_fingerprint:
        raise ValueError(f"{path} was trained on other data than {dataset.title}: --data-root FOLDER has {facts.data}")
    judge = judge_of(options, card, dataset, device, root)
    values = judge.measure(Sampler(golden.sampler.reference, golden.sampler.networks, device, options.seed))
    size = min(card.batch_size, len(dataset))
    about = {
        "reference": options.name or facts.reference,
        "seed": facts.seed,
        "n": judge.n,
        "batch_size": size,
        "epochs": facts.steps / batches_per_epoch(len(dataset), size, drop_last=card.drop_last),
    }
    trained = {TRAINED_ON: str(facts.environment.get("device", "unknown"))}
    trained |= {part: str(facts.environment.get(part, "ieee")) for part in (CONVOLUTIONS, PRODUCTS)}
    folder = options.out or Path("runs") / "evaluated" / _place(str(path))
    where, kept = write_evaluation(folder, values, about, dataset, device, trained, add=options.add)
    write_sheet(where.parent, str(about["reference"]), judge.shown)
    title = f"{facts.reference}, step {facts.steps}"
    return Evaluation(title, dataset.title, values, where, kept, judge.n, judge.n, note=judge.note())


def _evaluate_weights(spec: str, file: Path, options: EvaluateOptions, device: torch.device) -> Evaluation:
    """What somebody else has trained, sampled as a reference samples, against the reference's data."""
    if options.against or options.value_range:
        raise ValueError(
            "--against and --range play no part for weights: the reference's card says what they are held to"
        )
    chosen, given = get(spec), read_weights(file)
    networks, told = weighted_networks(chosen, given, device)
    root = find_root(options.data_root, own=brings_data(chosen))
    card, dataset = chosen.card, open_data(chosen, root)
    judge = judge_of(options, card, dataset, device, root)
    values = judge.measure(Sampler(chosen, networks, device, options.seed))
    # Not the reference's own name: nobody knows how long or on what they were trained, so that they decide no claim.
    name = f"{spec}, {file.name}"
    facts = {"reference": options.name or name, "seed": options.seed, "n": judge.n, "batch_size": card.batch_size}
    folder = options.out or Path("runs") / "evaluated" / _place(f"{folder_name(spec)}-{file.stem}")
    weights = {"weights": given.digest, "weights of": told}
    where, kept = write_evaluation(
        folder, values, facts, dataset, device, weights, modules=options.modules, add=options.add
    )
    write_sheet(where.parent, str(facts["reference"]), judge.shown)
    note = "; ".join(filter(None, (f"weights of {told}; {UNTOLD}", judge.note())))
    return Evaluation(name, dataset.title, values, where, kept, judge.n, judge.n, note=note)


def _computed(path: Path, device: torch.device) -> dict[str, str]:
    """How a run was trained; and how its samples are drawn, where that is another way."""
    config, facts = RunFolder(path).read_run()
    deterministic = config.deterministic or torch.device(config.device).type == "cpu"
    trained = {NUMERICS: numerics_name(deterministic=deterministic)}
    # Before precision was written down, no run was a GPU's.
    trained |= {part: str(facts["environment"].get(part, "ieee")) for part in (CONVOLUTIONS, PRODUCTS)}
    drawn = float32_precision(device)
    other = {f"{part}, sampling": value for part, value in drawn.items() if value != trained[part]}
    return trained | other


def _place(target: str) -> str:
    """A folder's name for what was evaluated: of a path all parts, for many folders are called `samples`."""
    parts = [part for part in Path(target).parts if part not in (os.sep, os.pardir)]
    return "_".join(parts).replace(":", "_") or "here"
