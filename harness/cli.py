"""`gan-harness`: train, sample, look, and make tables. Imports wait until a command needs them."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

if TYPE_CHECKING:
    from harness.training import RunConfig

app = typer.Typer(
    help="Does this GAN still do what its document says, and did my change make it worse?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

baseline_app = typer.Typer(help="Keep records to hold later runs against.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")

Modules = Annotated[list[str], typer.Option("--reference-module", help="Module that registers more references.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets (MNIST/, celeba/, …); default is $GAN_HARNESS_DATA, else stand-ins."),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; default auto.")]


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2, a failed check 1."""
    from harness.training.journal import NonFiniteError  # torch is slow to import; every command but --help needs it

    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except NonFiniteError as error:
        _complain(f"training went wrong: {error}; the checkpoint before it is kept")
        sys.exit(1)
    except (ValueError, OSError) as error:
        if "--traceback" in sys.argv:
            raise
        _complain(_in_words(error))
        sys.exit(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        sys.exit(130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises for an unknown option or a word as a number
            raise
        _complain(error.format_message())
        sys.exit(2)


@app.callback()
def common(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error comes from.")] = False,
) -> None:
    """Options before the command; `main` looks for --traceback itself."""


@app.command("list")
def list_references(
    as_json: Annotated[bool, typer.Option("--json", help="Every card in full, as JSON.")] = False,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Show every reference and its variants.

    Example: [bold]gan-harness list[/bold]
    """
    import reference

    for module in reference_module:
        reference.load_module(module)
    cards = [(spec, reference.get(spec).card) for spec in reference.specs()]
    if as_json:
        described = [_strict({"spec": spec, **dataclasses.asdict(card)}) for spec, card in cards]
        print(json.dumps(described, indent=1, allow_nan=False))
        return
    table = Table(Column("reference", no_wrap=True), "data", "batch", "epochs", "what it is")
    for spec, card in cards:
        variant = spec.partition("@")[2]
        title = f"{card.title}; {card.variants[variant]}" if variant else card.title
        table.add_row(spec, card.dataset, str(card.batch_size), str(card.epochs), title)
    Console().print(table)


@app.command()
def doctor(data_root: DataRoot = None) -> None:
    """Say what was found here: devices, data sets, weights, versions; and what each missing one means.

    Example: [bold]gan-harness doctor --data-root ~/data[/bold]
    """
    from harness.doctor import findings

    table = Table("what", "found", "what it means")
    for finding in findings(data_root):
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        table.add_row(finding.what, f"{mark} {escape(finding.detail)}", escape(finding.meaning))
    Console().print(table)


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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in the folder first.")] = False,
    workers: Annotated[int | None, typer.Option(help="Loader processes; default 0, or 2 for image files.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default is PyTorch's.")] = None,
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

    if resume and overwrite:
        raise ValueError("--resume and --overwrite exclude each other")
    if steps is not None and epochs is not None:
        raise ValueError("--steps and --epochs exclude each other")
    given: dict[str, Any] = {
        "seed": seed, "batch_size": batch_size, "workers": workers, "threads": threads, "log_every": log_every,
        "sample_every": sample_every, "checkpoint_every": checkpoint_every, "keep_checkpoints": keep_checkpoints,
        "tensorboard": tensorboard, "pictures": pictures, "trace": trace or None,
        "deterministic": False if as_documented else None,
        "reference_modules": tuple(reference_module) or None,
    }  # fmt: skip
    given = {key: value for key, value in given.items() if value is not None}
    if steps is not None or epochs is not None:
        given |= {"steps": steps, "epochs": epochs}
    config, folder = _resolve(name, given, device, data_root, out, resume=resume)
    run = harness.training.train(
        config, folder, resume=resume, overwrite=overwrite, console=Console(), stop_on_signal=True
    )
    if run.steps < run.asked:
        sys.exit(130)


@app.command()
def sample(
    run: Annotated[str, typer.Argument(help="A run folder, or a reference whose option names its weights.")],
    mode: Annotated[
        str, typer.Option(help="random, interpolate, arithmetic, semantic, conditional, roundtrip or inpaint.")
    ] = "random",
    n: Annotated[
        int | None, typer.Option("-n", "--count", help="How many samples, steps or rows; default the documents'.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="PNG to write; default RUN/MODE-seedS.png.")] = None,
    data_root: DataRoot = None,
    vectors: Annotated[Path | None, typer.Option(help="Latents to use, as an earlier call wrote them.")] = None,
    pick: Annotated[
        str, typer.Option(help="Vectors by number: 2,9 to interpolate, 0,6,8-1,2,4+3,4,6 for the arithmetic.")
    ] = "",
    way: Annotated[
        str | None, typer.Option(help="How to interpolate: ends, midpoints or spherical; default ends.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="For semantic: a file of 0 or 1 per sample.")] = None,
    attribute: Annotated[
        str, typer.Option(help="For semantic: label the samples by an attribute (Smiling) or a digit (3).")
    ] = "",
    digit: Annotated[int, typer.Option(help="The class that latents are looked at with, where there are classes.")] = 0,
    as_written: Annotated[
        bool | None,
        typer.Option("--as-written/--as-meant", help="The documents' slips in arithmetic and semantic, or not."),
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Take a reference's networks as drawn.")] = False,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Look at a run's newest checkpoint in the documents' ways: a picture, and the numbers beside it.

    Beside the picture lie the images (.npy), the latents (.txt and .safetensors) and what was computed (.json).

    Example: [bold]gan-harness sample runs/mlp --mode interpolate --pick 2,9[/bold]
    """
    from harness.sampling import Look, sample_run

    look = Look(
        mode=mode, count=n, seed=seed, device=device or "auto", out=out, data_root=data_root, vectors=vectors,
        pick=pick, way=way, labels=labels, attribute=attribute, digit=digit, as_written=as_written,
        untrained=untrained, modules=tuple(reference_module),
    )  # fmt: skip
    print(sample_run(run, look, _complain))


@app.command()
def evaluate(
    target: Annotated[str, typer.Argument(help="A run folder, a folder of images, or module:callable.")],
    n: Annotated[int | None, typer.Option("-n", "--count", help="How many samples; default 10,000, or all.")] = None,
    against: Annotated[
        str, typer.Option(help="For images that come from no run: a reference (its data), or a folder of real images.")
    ] = "",
    extractor: Annotated[
        str | None, typer.Option(help="mnistnet, digitsnet, facesnet or inception; default what fits the data.")
    ] = None,
    inception_weights: Annotated[
        Path | None, typer.Option(help="File of Inception's weights; default torch-fidelity's own. Never fetched.")
    ] = None,
    value_range: Annotated[
        str, typer.Option("--range", help="What a callable's floats mean, e.g. -1,1; default that of --against.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    device: Device = None,
    data_root: DataRoot = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; default the run's, or runs/evaluated/NAME.")
    ] = None,
    name: Annotated[str, typer.Option(help="Its name in the records, for compare; default where it comes from.")] = "",
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Measure sample quality: FID, KID, IS, precision, recall, classes covered, distance to training images.

    A callable gets (n, seed) and returns n images: uint8, or floats in the range declared.

    Example: [bold]gan-harness evaluate my_package.my_gan:generate --against idl-gan-mnist -n 1000[/bold]
    """
    from harness.evaluating import Question
    from harness.evaluating import evaluate as measure

    question = Question(
        count=n, seed=seed, device=device or "auto", data_root=data_root, against=against, extractor=extractor,
        inception=inception_weights, value_range=_range(value_range), out=out, name=name,
        modules=tuple(reference_module),
    )  # fmt: skip
    console = Console()
    with console.status("starting") as status:
        answer = measure(target, question, lambda text: status.update(escape(text)))
    table = Table("metric", Column("value", justify="right"), "unit", "better")
    for found in answer.values:
        if found.measured.name != "class_share":
            table.add_row(found.metric, f"{found.measured.value:.5g}", found.measured.unit, found.measured.better)
    console.print(f"{escape(answer.name)} against {escape(answer.data)}")
    console.print(table)
    if answer.missing is not None:
        console.print(f"missing classes: {', '.join(answer.missing) or 'none'}")
    print(answer.records)


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="A report folder, baseline or file of records; or a git revision.")],
    candidate: Annotated[str, typer.Argument(help="The same for what is to be judged.")],
    margin: Annotated[float, typer.Option(help="The change that doesn't matter, as a share of the base.")] = 0.1,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm in the whole comparison.")] = 0.05,
    metrics: Annotated[str, typer.Option(help="Shell patterns of metrics; default the headline ones.")] = "",
    seeds: Annotated[int, typer.Option(help="For revisions: seeds to train on either side.")] = 5,
    first_seed: Annotated[int, typer.Option(help="For revisions: the first seed.")] = 0,
    references: Annotated[str, typer.Option(help="For revisions: which references, as for pytest suites.")] = "*",
    profile: Annotated[str, typer.Option(help="For revisions: how much to train.")] = "smoke",
    device: Device = None,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option(help="Where revisions' records and the table go.")] = Path("runs/compare"),
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Say whether CANDIDATE kept what BASE had: kept, better, worse, inconclusive or not comparable, per metric.

    Exit code 0: nothing got worse; 1: something did; 3: inconclusive, or not comparable.

    Example: [bold]gan-harness compare reports/baselines/main reports/latest[/bold]
    """
    import harness.comparison.command

    asked = harness.comparison.command.Asked(
        base, candidate, alpha=alpha, margin=margin, metrics=metrics, seeds=seeds, first_seed=first_seed,
        references=references, profile=profile, device=device, data_root=data_root, out=out,
        modules=tuple(reference_module),
    )  # fmt: skip
    sys.exit(harness.comparison.command.compare_and_show(asked, Console()))


@baseline_app.command()
def accept(
    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest"),
    name: Annotated[str, typer.Option(help="What to call the baseline.")] = "main",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a baseline of this name.")] = False,
) -> None:
    """Promote a run's records to a baseline in reports/baselines/.

    Example: [bold]gan-harness baseline accept reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import accept as keep

    print(keep(folder, name, overwrite=overwrite))


@app.command()
def tables(
    folder: Annotated[Path, typer.Argument(help="A report folder with records.jsonl.")] = Path("reports/latest"),
    documented: Annotated[
        Path | None, typer.Option(help="Write the documents' own figures into this folder instead.")
    ] = None,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Make the tables of a report folder again, from its records alone.

    Example: [bold]gan-harness tables reports/latest[/bold]
    """
    import reference
    from harness.reporting.pages import read_session, write_documented, write_report

    if documented is not None:
        # A variant has its system's card: the documents print each system once.
        written = write_documented(documented, [(name, reference.get(name).card) for name in reference.names()])
    else:
        asked = read_session(folder)
        for module in (*asked["modules"], *reference_module):
            reference.load_module(module)
        written = write_report(folder, [(spec, reference.get(spec).card) for spec in asked["specs"]])
    for path in written:
        print(path)


def _resolve(
    name: str, given: dict[str, Any], device: str | None, data_root: Path | None, out: Path | None, *, resume: bool
) -> tuple[RunConfig, Path]:
    """Defaults from the card, or from the run that is resumed; what was given wins."""
    import reference
    from harness.data.catalogue import data_root as find_root
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
        given["data_root"] = str(root)
    if device is not None:
        given["device"] = str(resolve_device(device))
    if resume:
        earlier, _ = RunFolder(folder).read_run()
        return RunConfig.from_json(earlier.to_json() | {"reference": spec} | given), folder
    defaults = {"reference": spec, "seed": card.seed, "batch_size": card.batch_size, "device": "auto"}
    if "steps" not in given:
        defaults["epochs"] = card.epochs
    return RunConfig.from_json(defaults | given), folder


def _range(text: str) -> tuple[float, float] | None:
    """`-1,1` as two numbers."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--range takes two numbers such as -1,1, not {text!r}") from None
    return low, high


def _strict(value: Any) -> Any:
    """`value` without what JSON lacks: an open bound becomes null."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _in_words(error: Exception) -> str:
    """An OSError without its number, anything else as it is."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _complain(text: str) -> None:
    print(f"gan-harness: {' '.join(text.split())}", file=sys.stderr)
