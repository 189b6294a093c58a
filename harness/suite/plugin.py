"""`pytest suites/`: the options, the fixtures that the suites stand on, and the tables at the end.

The suites say what is measured and what must hold; this file gives them references, seeds, trained runs and a
recorder. Nothing heavy is imported before a suite asks for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.files.cache import CacheError
from harness.records.profiles import PROFILES, get_profile
from harness.reporting.console import in_words
from harness.suite.settings import Settings

if TYPE_CHECKING:
    from harness.suite.session import SuiteSession

_SESSION = pytest.StashKey["SuiteSession"]()


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
    group.addoption("--inception-weights", type=Path, help="file of Inception's weights (default torch-fidelity's own)")
    group.addoption("--baseline", type=Path, help="records to hold this run against; worse fails it (exit code 1)")
    group.addoption(
        "--storage", action="append", metavar="hdd|ssd|FOLDER|NAME=FOLDER",
        help="disks to load from: simulated ones, or those that folders lie on (default the report's, hdd and ssd)",
    )  # fmt: skip
    group.addoption("--step-ms", type=float, help="a step's milliseconds to hold loading against (default: measured)")
    group.addoption("--reference-module", action="append", default=[], help="module that registers more references")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "references(dataset, having): run only for references on a data set, or having latents, classes, …"
    )


def open_session(config: pytest.Config) -> SuiteSession:
    """The one session of this run, made when it is first asked for; a setting that can't be used ends pytest."""
    if _SESSION not in config.stash:
        from harness.suite.session import SuiteSession

        try:
            session = SuiteSession(_settings(config))
            capture = config.pluginmanager.getplugin("capturemanager")
            if capture is not None and sys.stdout.isatty():
                session.uncaptured = capture.global_and_fixture_disabled
        except (ValueError, OSError) as error:
            pytest.exit(f"gan-harness: {error}", returncode=2)
        config.stash[_SESSION] = session
    return config.stash[_SESSION]


def _settings(config: pytest.Config) -> Settings:
    seeds = config.getoption("--seeds")
    if seeds is not None and seeds < 1:
        raise ValueError(f"--seeds must be 1 or more, not {seeds}")
    first = config.getoption("--first-seed")
    if first is not None and first < 0:
        raise ValueError(f"--first-seed must be 0 or more, not {first}")
    if hasattr(config, "workerinput") or getattr(config.option, "numprocesses", None):
        raise ValueError("the suites measure one thing at a time; run them without pytest-xdist's -n")
    step_ms = config.getoption("--step-ms")
    if step_ms is not None and not (0 < step_ms < math.inf):
        raise ValueError(f"--step-ms must be more than 0, not {step_ms:g}")
    from harness.data.storage import DISK_PROFILES
    from harness.loading.record import OWN_STORAGE, parse_storage

    asked = config.getoption("--storage")
    storages = (OWN_STORAGE, *map(parse_storage, DISK_PROFILES)) if asked is None else tuple(map(parse_storage, asked))
    names = [storage.name for storage in storages]
    if len(set(names)) < len(names):
        raise ValueError(f"two storages have one name: {', '.join(names)}")
    return Settings(
        profile=get_profile(config.getoption("--profile")),
        device=config.getoption("--device"),
        data_root=config.getoption("--data-root"),
        report_dir=config.getoption("--report-dir") or config.rootpath / "reports" / "latest",
        references=config.getoption("--references"),
        seeds=seeds,
        modules=tuple(config.getoption("--reference-module")),
        first_seed=first,
        inception_weights=config.getoption("--inception-weights"),
        baseline=config.getoption("--baseline"),
        storages=storages,
        step_ms=step_ms,
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`spec` runs over references, `seed` over each one's seeds, `numerics` over the device's, `storage` over disks."""
    if {"harness", "storage"} <= set(metafunc.fixturenames):
        metafunc.parametrize("storage", [storage.name for storage in open_session(metafunc.config).storages()])
    if not {"harness", "spec"} <= set(metafunc.fixturenames):
        return
    session = open_session(metafunc.config)
    marker = metafunc.definition.get_closest_marker("references")
    wanted = marker.kwargs if marker else {}
    specs = session.specs(**wanted)
    if not specs:
        lacking = " and ".join({"dataset": "is on ", "having": "has "}[kind] + value for kind, value in wanted.items())
        skipped = pytest.mark.skip(reason=f"nothing to check: no reference asked for {lacking}")
        names = ("spec", "seed") if "seed" in metafunc.fixturenames else ("spec",)
        metafunc.parametrize(names, [pytest.param(*(None,) * len(names), marks=skipped)])
    elif "seed" in metafunc.fixturenames:
        pairs = [(spec, seed) for spec in specs for seed in session.seeds(spec)]
        metafunc.parametrize(("spec", "seed"), pairs)
    else:
        metafunc.parametrize("spec", specs)
    if "numerics" in metafunc.fixturenames:
        metafunc.parametrize("numerics", session.numerics())


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> SuiteSession:
    """The session, for fixtures that several checks share: settings and data, no records."""
    return open_session(request.config)


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> SuiteSession:
    """The session: settings, references, trained runs, and `record`."""
    session = open_session(request.config)
    session.suite = Path(request.node.path).stem.removeprefix("test_")
    return session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A suite's skips and failures become records, with their reasons, so that tables can count them."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(CacheError):  # nothing that follows could be measured
        pytest.exit(f"gan-harness: {call.excinfo.value}; what was recorded before is kept", returncode=2)
    if _SESSION in item.config.stash and "harness" in getattr(item, "fixturenames", ()):
        reason = _reason(report, call)
        if reason is not None:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            try:
                item.config.stash[_SESSION].note(
                    suite=Path(item.path).stem.removeprefix("test_"),
                    check=getattr(item, "originalname", item.name),
                    parameters=parameters,
                    status="skipped" if report.skipped else "failed",
                    reason=reason,
                )
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
    try:
        opened.write_report()
    except (ValueError, OSError) as error:
        print(f"gan-harness: {' '.join(in_words(error).split())}", file=sys.stderr)
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = getattr(error, "exit_code", 2)
    if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # 2 says that nothing was decided, 3 must not look like it
        session.exitstatus = 2
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = opened.exit_code()
    opened.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _SESSION not in config.stash:
        return
    lines = config.stash[_SESSION].summary()
    if lines:
        terminalreporter.section("gan-harness")
        for line in lines:
            terminalreporter.write_line(line)
