"""The wheel: it carries the suites, leaves other people's pytest alone, and checks a GAN in another folder."""

from __future__ import annotations

import os
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
