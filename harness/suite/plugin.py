"""`pytest suites/`: the options, the fixtures that the suites stand on, and the tables at the end.

The suites say what is measured and what must hold; this file gives them subjects, seeds, disks and a session.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest
import torch

from harness.files.cache import CacheError
from harness.records.profiles import PROFILES
from harness.records.progress import HARNESS
from harness.reporting.console import in_words, new_console
from harness.reporting.screen import showing
from harness.suite.deadline import STOPPED
from harness.suite.forecast import CHECK_SECONDS, Steps, devices_table, forecast, forecast_table
from harness.suite.gpu_jobs import GpuJobs, gpu_masks
from harness.suite.jobs import Jobs
from harness.suite.pace import Pace
from harness.suite.rays import Rays
from harness.suite.run import Run
from harness.suite.serve import do_as_told
from harness.suite.session import Session
from harness.suite.settings import ENGINES, HERE, RAY, RETRIES, settings_from
from harness.suite.summary import summary_lines
from harness.suite.units import note, suite_of
from harness.training.device import numerics_of

_SESSION = pytest.StashKey[Session]()
_PACE = pytest.StashKey[Pace]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("gan-harness", "what `pytest suites/` measures")
    group.addoption("--profile", default="smoke", help=f"how much to do: {', '.join(PROFILES)} (default smoke)")
    group.addoption("--device", default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
    group.addoption(
        "--data-root", type=Path, help="folder of data sets: MNIST/, celeba/, … (default $GAN_HARNESS_DATA)"
    )
    group.addoption("--report-dir", type=Path, help="where records and tables go (default reports/latest)")
    group.addoption(
        "--references", help="only references that match, e.g. 'idl-*,mlp-gan-mnist'; '*' with all variants"
    )
    group.addoption("--seeds", type=int, help="seeds per reference (default: the profile's)")
    group.addoption("--first-seed", type=int, help="the first of the seeds (default: the document's)")
    weights = "published weights of extractors (Inception, DINOv2, CLIP, LPIPS): a file, or a folder of such"
    group.addoption("--extractor-weights", "--inception-weights", type=Path, help=weights)
    group.addoption(
        "--runs",
        type=Path,
        help="where trainings are kept: finished ones are used, begun ones gone on with (default: anew, in the report)",
    )
    group.addoption(
        "--jobs",
        type=int,
        help="processes for what isn't timed (default: on a CPU the profile's, at most the cores; on GPUs 1)",
    )
    group.addoption(
        "--resume", action="store_true", help="go on with the run in the report folder; begin where there is none"
    )
    group.addoption(
        "--time-limit",
        metavar="55m",
        help="end in order before so much time is over, trainings with a checkpoint: exit code 11 (then --resume)",
    )
    group.addoption(
        "--shard",
        metavar="I/N",
        help="the I-th of N parts, for job arrays; `gan-harness merge` makes one report of all",
    )
    group.addoption("--engine", default=HERE, help=f"who does what isn't timed: {', '.join(ENGINES)} (default {HERE})")
    group.addoption(
        "--address", help=f"of a Ray cluster, with --engine {RAY} (default: Ray is started on this machine)"
    )
    group.addoption(
        "--gpus-per-run", type=float, help="what each takes of a GPU: 0.25 puts four small systems on one (default 1)"
    )
    group.addoption(
        "--retries", type=int, help=f"how often a unit is tried again whose process was lost (default {RETRIES})"
    )
    group.addoption("--plan", action="store_true", help=argparse.SUPPRESS)  # see `gan-harness plan`
    group.addoption("--steps-of", type=Path, help=argparse.SUPPRESS)  # likewise
    group.addoption("--joins", help=argparse.SUPPRESS)  # a process of a run that another one tells of
    group.addoption("--baseline", type=Path, help="records to hold this run against; worse fails it (exit code 1)")
    group.addoption(
        "--storage",
        action="append",
        metavar="hdd|ssd|FOLDER|NAME=FOLDER",
        help="disks to load from: simulated ones, or those that folders lie on (default the report's, hdd and ssd)",
    )
    group.addoption("--step-ms", type=float, help="a step's milliseconds to hold loading against (default: measured)")
    group.addoption("--reference-module", action="append", default=[], help="module that registers more references")


def pytest_configure(config: pytest.Config) -> None:
    """Make the one session of this run, before anything is collected: a mistake is one line."""
    config.addinivalue_line(
        "markers", "references(dataset, having): run only for references on a data set, or having latents, classes, …"
    )
    config.addinivalue_line("markers", "alone: times the machine: run when nothing else does")
    config.addinivalue_line("markers", "shipped: about the harness and its systems: not run on GANs of one's own alone")
    config.addinivalue_line("markers", "closing: run after all suites, on what they recorded")
    if config.option.help or config.option.markers or config.option.version:
        return
    try:
        if hasattr(config, "workerinput") or getattr(config.option, "numprocesses", None):
            raise ValueError(
                "pytest-xdist's -n would time and train things at once that disturb each other: --jobs N does several"
            )
        session = Session(settings_from(config.getoption, config.rootpath / "reports" / "latest"))
    except (ValueError, OSError) as error:
        pytest.exit(f"gan-harness: {error}", returncode=2)
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None and sys.stdout.isatty():
        session.uncaptured = capture.global_and_fixture_disabled
    config.stash[_SESSION] = session
    config.stash[_PACE] = _new_pace(config)
    config.pluginmanager.register(_Watch(session, config.stash[_PACE]), "gan-harness-watch")


class _Watch:
    """Counts the checks that have ended, in whichever process."""

    def __init__(self, session: Session, pace: Pace) -> None:
        self._session, self._pace = session, pace

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped or report.when == "call":
            self._session.outcomes[report.outcome] += 1

    def pytest_runtest_logfinish(self) -> None:
        self._pace.ended()


def _new_pace(config: pytest.Config) -> Pace:
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
            print(f"\n{line}", flush=True)

    # On a terminal a bar at the bottom moves while a check runs.
    return Pace(say, within=not sys.stdout.isatty())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`subject` runs over references, `seed` over each one's, `numerics` over ways to compute, `storage` over disks."""
    if not {"suite", "subject"} & set(metafunc.fixturenames):
        return
    session = metafunc.config.stash[_SESSION]
    if "storage" in metafunc.fixturenames:
        metafunc.parametrize("storage", session.settings.storages, ids=lambda storage: storage.name)
    if "subject" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("references")
    wanted = marker.kwargs if marker else {}
    subjects = session.choose(**wanted)
    seeded = "seed" in metafunc.fixturenames
    if not subjects:
        lacking = " and ".join({"dataset": "is on ", "having": "has "}[kind] + value for kind, value in wanted.items())
        skipped = pytest.mark.skip(reason=f"nothing to check: no reference asked for {lacking}")
        names = ("subject", "seed") if seeded else ("subject",)
        metafunc.parametrize(names, [pytest.param(*(None,) * len(names), marks=skipped)])
    elif seeded:
        pairs = [(subject, seed) for subject in subjects for seed in subject.seeds()]
        metafunc.parametrize(("subject", "seed"), pairs, ids=[f"{subject}-{seed}" for subject, seed in pairs])
    else:
        metafunc.parametrize("subject", subjects, ids=str)
    if "numerics" in metafunc.fixturenames:
        metafunc.parametrize("numerics", numerics_of(session.device))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What looks at everything that was recorded comes last; what isn't about GANs of one's own isn't done on them."""
    items.sort(key=lambda item: item.get_closest_marker("closing") is not None)
    session = config.stash.get(_SESSION, None)
    if session is None or not session.own_alone:
        return
    aside = [item for item in items if item.get_closest_marker("shipped")]
    left = [item for item in items if item not in aside]
    if left:
        items[:] = left
        config.hook.pytest_deselected(items=aside)
        session.set_aside = len(aside)
        session.suites_set_aside = {suite_of(item) for item in aside} - {suite_of(item) for item in left}


def pytest_collection_finish(session: pytest.Session) -> None:
    """How far the run is, is said from now on."""
    pace, log = session.config.stash[_PACE], logging.getLogger(HARNESS)
    pace.start(len(session.items))
    log.addHandler(pace)
    log.setLevel(logging.DEBUG)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """In as many processes as were asked for: see `Jobs`."""
    opened = session.config.stash.get(_SESSION, None)
    if opened is None or session.config.option.collectonly or session.testsfailed:
        return None
    opened.deadline.arm()
    try:
        with _sigterm_as_ctrl_c():
            _say_plan(session, opened) if session.config.option.plan else _run(session, opened)
    except ValueError as error:
        pytest.exit(f"gan-harness: {error}", returncode=2)
    finally:
        opened.deadline.disarm()
    return True


def _run(session: pytest.Session, opened: Session) -> None:
    """Do every check, whoever does it.

    Raises:
        ValueError: a run that can't be gone on with, or an engine that isn't there.
    """
    settings = opened.settings
    if settings.steps_of is not None:
        raise ValueError("--steps-of is for gan-harness plan")
    if settings.joins is not None:
        do_as_told(session, opened, settings.joins)
        return
    opened.compare_bits()
    run = Run(session, opened)
    session.config.stash[_PACE].start(run.total)
    opened.say_what_runs = session.config.stash[_PACE].begins
    engine = _engine(run, opened)
    run.begin()
    engine.run()
    run.close()


def _say_plan(session: pytest.Session, opened: Session) -> None:
    """What would be done, on the terminal; nothing is."""
    timed = Steps(opened)
    with opened.uncaptured(), showing(new_console(), lines=False):
        found = forecast(session.items, opened, timed)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else contextlib.nullcontext():
        for table in (forecast_table(found), devices_table(found)):
            print(f"\n{table.to_markdown(index=False)}")
        print(
            f"\nprofile {opened.profile.name}: {len(session.items)} checks. Steps were measured {timed.where}; "
            f"{CHECK_SECONDS:g} s for each check beside them are assumed, and several devices are simulated."
        )


def _engine(run: Run, opened: Session) -> Jobs | GpuJobs | Rays:
    settings, on_gpu = opened.settings, opened.device.type == "cuda"
    if settings.gpus_per_run is not None and not on_gpu:
        raise ValueError("--gpus-per-run has no effect on a CPU")
    if settings.engine != RAY and (not on_gpu or (settings.jobs or 1) == 1):
        if settings.retries is not None:
            raise ValueError(f"--retries has no effect on a CPU without --engine {RAY}")
        return Jobs(run, opened.jobs)
    threads = opened.profile.threads or (None if on_gpu else 1)
    command = run.command(threads, [spec for spec, _ in opened.cards if opened.has_the_baselines_bits(spec)])
    gpus = (settings.gpus_per_run or 1.0) if on_gpu else 0.0
    retries = RETRIES if settings.retries is None else settings.retries
    if settings.engine != RAY:
        there = torch.cuda.device_count()
        masks = gpu_masks(os.environ.get("CUDA_VISIBLE_DEVICES"), there, gpus, settings.jobs or 1)
        return GpuJobs(run, command, masks, retries)
    return Rays(
        run, command, address=settings.address, gpus=gpus, cpus=threads or 1, jobs=settings.jobs, retries=retries
    )


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Generator[None]:
    """What a cluster or a CI job sends before it kills ends a run as Ctrl-C does."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def suite(request: pytest.FixtureRequest) -> Session:
    """The session: settings, subjects, and `record`."""
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def whole_session(request: pytest.FixtureRequest) -> Session:
    """The session for fixtures that several checks share: settings and data, no records."""
    return request.config.stash[_SESSION]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Records name the suite whose file the check lies in."""
    item.config.stash[_SESSION].suite = suite_of(item)
    item.config.stash[_PACE].begins(f"{suite_of(item)}: {item.name}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A suite's skips and failures become records, with their reasons, so that tables can count them."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(CacheError):  # nothing that follows could be measured
        pytest.exit(f"gan-harness: {call.excinfo.value}; what was recorded before is kept", returncode=2)
    reason = _reason(report, call) if {"suite", "subject"} & set(getattr(item, "fixturenames", ())) else None
    if reason is not None:
        try:
            note(item, item.config.stash[_SESSION], "skipped" if report.skipped else "failed", reason)
        except OSError as error:  # a full disk: nothing that follows could be recorded
            pytest.exit(f"gan-harness: {in_words(error)}; what was recorded before is kept", returncode=2)
    return report


def _reason(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str | None:
    if not report.skipped and not report.failed:
        return None
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    text = str(call.excinfo.value) if call.excinfo is not None else ""
    return " ".join(text.split("\n\n")[0].split())[:300] or (call.excinfo.typename if call.excinfo else "no message")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the tables, also when something failed or the run was interrupted; then let the baseline speak."""
    if _SESSION not in session.config.stash:
        return
    opened = session.config.stash[_SESSION]
    opened.deadline.disarm()
    if opened.settings.joins is not None:
        return
    ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    verdict = 0
    try:
        verdict = opened.finish(complete=ended and not session.shouldfail)
    except (ValueError, OSError) as error:
        print(f"gan-harness: {' '.join(in_words(error).split())}", file=sys.stderr)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = getattr(error, "exit_code", 2)
    if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # 2 says that nothing was decided, 3 must not look like it
        session.exitstatus = 2
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = verdict
    if session.exitstatus == pytest.ExitCode.INTERRUPTED and opened.deadline.is_over:
        session.exitstatus = STOPPED
    opened.close()
    logging.getLogger(HARNESS).removeHandler(session.config.stash[_PACE])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _SESSION not in config.stash or config.stash[_SESSION].settings.joins is not None:
        return
    lines = summary_lines(config.stash[_SESSION])
    if lines:
        terminalreporter.section("gan-harness")
        for line in lines:
            terminalreporter.write_line(line)
