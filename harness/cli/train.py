"""`gan-harness train`: one run, from the command line to a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness.cli.app import command
from harness.reporting.console import new_console
from harness.reporting.screen import showing
from harness.training.config import RunConfig, TrainOptions


@command("train")
def train(options: TrainOptions) -> None:
    """Train a reference as its document says, into a run folder that survives being killed.

    Example: [bold]gan-harness train mlp-gan-mnist --epochs 2 --seed 1 --out runs/mlp[/bold]
    """
    import harness.training
    from harness.checks.watchdog import Watchdog

    config, folder = _resolve(options)
    with showing(new_console()):
        run = harness.training.train(
            config,
            folder,
            resume="auto" if options.auto_resume else options.resume,
            overwrite=options.overwrite,
            stop_on_signal=True,
            observe=Watchdog if options.watch else None,
        )
    if run.steps < run.asked:
        sys.exit(130)


def _resolve(options: TrainOptions) -> tuple[RunConfig, Path]:
    """Defaults from the card, or from the run that is resumed; what was given wins."""
    import reference
    from harness.data.registry import brings_data
    from harness.data.registry import data_root as find_root
    from harness.records.options import AUTO, NEVER
    from harness.training.device import resolve_device
    from harness.training.run_folder import RunFolder, folder_name

    for module in options.reference_modules:
        reference.load_module(module)
    chosen = reference.get(options.name)
    spec, card = reference.spec_of(chosen), chosen.card
    given = options.settings()
    folder = options.out or Path("runs") / f"{folder_name(spec)}-seed{given.get('seed', card.seed)}"
    root = find_root(Path(options.data_root) if options.data_root else None, own=brings_data(chosen))
    if root is not None:
        given["data_root"] = str(root.resolve())
    if given.get("pack", AUTO) not in (AUTO, NEVER):
        given["pack"] = str(Path(given["pack"]).resolve())
    if "device" in given:
        given["device"] = str(resolve_device(given["device"]))
    if (options.resume or options.auto_resume) and not RunFolder(folder).nothing_has_begun():
        earlier, _ = RunFolder(folder).read_run()
        return RunConfig.from_json(earlier.to_json() | {"reference": spec} | given), folder
    defaults: dict[str, Any] = {"reference": spec, "seed": card.seed, "batch_size": card.batch_size}
    if "steps" not in given:
        defaults["epochs"] = card.epochs
    return RunConfig.from_json(defaults | given), folder
