"""The wheel: it carries the suites, leaves other people's pytest alone, and checks a GAN in another folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has in site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
    return folder


def started(command: list[str], site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_it_carries_the_suites_and_no_entry_point_of_pytest(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        (points,) = (content.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert {f"harness/suites/{path.name}" for path in (ROOT / "suites").glob("*.py")} <= names
    assert {"harness/suite/pytest.ini", "harness/py.typed", "reference/py.typed"} <= names
    assert {f"harness/reporting/templates/{name}" for name in ("report.html.j2", "page.css", "page.js")} <= names
    assert not any(name.startswith(("tests/", "suites/", "docs/")) for name in names)
    assert "pytest11" not in points


def test_suites_run_on_a_gan_in_another_folder(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "my_gan.py", tmp_path / "my_gan.py")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --of-somebody-else\n")
    own = ["--reference-module", "my_gan", "--references", "my-*", "-q"]
    done = started(["-m", "harness.cli", "suites", "test_shapes.py", "test_training.py", *own], installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my-lsgan-grid" in (tmp_path / "reports" / "latest" / "shapes.csv").read_text()
    assert (tmp_path / "reports" / "latest" / "report.html").is_file()


@pytest.mark.slow
def test_three_examples_pass_where_no_clone_is(installed: Path, tmp_path: Path) -> None:
    """Points with modes of their own, pictures of a folder, and MNIST with an average, spectral norm and a schedule."""
    modules = {
        "ring_of_eight": "ring-of-eight",
        "folder_of_pictures": "my-pictures",
        "averaged_mnist": "averaged-mnist",
    }
    for module in modules:
        shutil.copy(ROOT / "examples" / f"{module}.py", tmp_path / f"{module}.py")
    chosen = [part for module in modules for part in ("--reference-module", module)]
    done = started(
        ["-m", "harness.cli", "suites", *chosen, "--references", ",".join(modules.values()), "-q"], installed, tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    (left_out,) = re.findall(r"not run on a GAN of one's own: (\d+)", done.stdout)
    assert int(left_out) > 70, "checks of the harness itself"
    latest = tmp_path / "reports" / "latest"
    bits = (latest / "determinism.csv").read_text()
    assert all(name in bits for name in modules.values())
    assert "NO" not in bits
    records = (latest / "records.jsonl").read_text().splitlines()
    modes = [line for line in records if '"modes_captured"' in line and '"ring-of-eight"' in line]
    assert len(modes) == 3, "a seed each"
    assert any('"fid"' in line and '"my-pictures"' in line and "celebanet" in line for line in records)


def test_other_peoples_pytest_sees_nothing_of_it(installed: Path, tmp_path: Path) -> None:
    """Also where another plugin has options of the same names, as pytest-profiling has."""
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--profile')\n    parser.addoption('--device')\n"
    )
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(request):\n    assert request.config.getoption('--profile') == 'x'\n"
    )
    done = started(["-m", "pytest", "-q", "--profile", "x", "-p", "no:cacheprovider"], installed, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
