"""`gan-harness train`: one run, from the command line to a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import DataRoot, Device, Modules, app
from harness.reporting.console import new_console

if TYPE_CHECKING:
    from harness.training import RunConfig


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="A reference, e.g. mlp-gan-mnist or idl-wgan-gp-mnist@corrected.")],
    steps: Annotated[int | None, typer.Option(help="Number of steps.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs; default is the document's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the run; default is the document's, else 0.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Default is the document's.")] = None,
    device: Device = None,
    data_root: DataRoot = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME-seedS.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    auto_resume: Annotated[
        bool, typer.Option("--auto-resume", help="Go on with the run in the folder, or start where there is none.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in the folder first.")] = False,
    workers: Annotated[int | None, typer.Option(help="Loader workers; default 0, or 2 for data on disk.")] = None,
    prefetch: Annotated[int | None, typer.Option(help="Batches that each worker reads ahead; default 2.")] = None,
    persistent_workers: Annotated[
        bool | None, typer.Option(help="Keep workers from epoch to epoch; default yes.")
    ] = None,
    pin_memory: Annotated[bool | None, typer.Option(help="On a GPU: page-locked batches; default yes.")] = None,
    pack: Annotated[
        str | None, typer.Option(help="auto takes the pack beside the pictures if it is theirs; never; or a file.")
    ] = None,
    shuffle_window: Annotated[
        int | None,
        typer.Option(help="Shuffle so many samples at a time, 0 all; default all that fit half of the memory."),
    ] = None,
    skip_damaged: Annotated[
        bool | None,
        typer.Option("--skip-damaged/--refuse-damaged", help="Leave out pictures that can't be read, and list them."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default one where steps are small.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between log lines; default is the document's.")] = None,
    sample_every: Annotated[int | None, typer.Option(help="Steps between grids, 0 for none.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints; default an epoch.")] = None,
    keep_checkpoints: Annotated[int | None, typer.Option(help="How many checkpoints to keep; default 3.")] = None,
    as_documented: Annotated[
        bool, typer.Option("--cudnn-benchmark", help="On CUDA: cudnn.benchmark, as documented, not deterministic.")
    ] = False,
    tensorboard: Annotated[bool | None, typer.Option(help="Write TensorBoard events; default yes.")] = None,
    pictures: Annotated[bool | None, typer.Option(help="Loss plot and animation at the end; default yes.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Write the state's digest after every step.")] = False,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Train a reference as its document says, into a run folder that survives being killed.

    Example: [bold]gan-harness train mlp-gan-mnist --epochs 2 --seed 1 --out runs/mlp[/bold]
    """
    import harness.training

    if (resume or auto_resume) and overwrite:
        raise ValueError("--resume and --overwrite exclude each other")
    if steps is not None and epochs is not None:
        raise ValueError("--steps and --epochs exclude each other")
    given: dict[str, Any] = {
        "seed": seed,
        "batch_size": batch_size,
        "workers": workers,
        "threads": threads,
        "log_every": log_every,
        "sample_every": sample_every,
        "checkpoint_every": checkpoint_every,
        "keep_checkpoints": keep_checkpoints,
        "tensorboard": tensorboard,
        "pictures": pictures,
        "trace": trace or None,
        "prefetch": prefetch,
        "persistent_workers": persistent_workers,
        "pin_memory": pin_memory,
        "pack": pack,
        "shuffle_window": shuffle_window,
        "skip_damaged": skip_damaged,
        "deterministic": False if as_documented else None,
        "reference_modules": tuple(reference_module) or None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if steps is not None or epochs is not None:
        given |= {"steps": steps, "epochs": epochs}
    config, folder = _resolve(name, given, device, data_root, out, resume=resume or auto_resume)
    run = harness.training.train(
        config,
        folder,
        resume="auto" if auto_resume else resume,
        overwrite=overwrite,
        console=new_console(),
        stop_on_signal=True,
    )
    if run.steps < run.asked:
        sys.exit(130)


def _resolve(
    name: str, given: dict[str, Any], device: str | None, data_root: Path | None, out: Path | None, *, resume: bool
) -> tuple[RunConfig, Path]:
    """Defaults from the card, or from the run that is resumed; what was given wins."""
    import reference
    from harness.data.registry import AUTO, NEVER
    from harness.data.registry import data_root as find_root
    from harness.training import RunConfig
    from harness.training.device import resolve_device
    from harness.training.run_folder import RunFolder, folder_name

    for module in given.get("reference_modules", ()):
        reference.load_module(module)
    chosen = reference.get(name)
    spec = reference.spec_of(chosen)
    card = chosen.card
    folder = out or Path("runs") / f"{folder_name(spec)}-seed{given.get('seed', card.seed)}"
    root = find_root(data_root)
    if root is not None:
        given["data_root"] = str(root.resolve())
    if given.get("pack", AUTO) not in (AUTO, NEVER):
        given["pack"] = str(Path(given["pack"]).resolve())
    if device is not None:
        given["device"] = str(resolve_device(device))
    if resume and not RunFolder(folder).nothing_has_begun():
        earlier, _ = RunFolder(folder).read_run()
        return RunConfig.from_json(earlier.to_json() | {"reference": spec} | given), folder
    defaults = {"reference": spec, "seed": card.seed, "batch_size": card.batch_size, "device": "auto"}
    if "steps" not in given:
        defaults["epochs"] = card.epochs
    return RunConfig.from_json(defaults | given), folder
