from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reference.api.user_modules import import_user_module, source_digest
from tests.processes import call

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return tmp_path


def test_a_module_here_is_found_and_goes_behind_everybody_elses(here: Path) -> None:
    before = list(sys.path)
    (here / "my_own_gan.py").write_text("VALUE = 7\n")
    assert import_user_module("my_own_gan").VALUE == 7
    assert sys.path == [*before, str(here)]
    (here / "my_package").mkdir()
    (here / "my_package" / "__init__.py").write_text("")
    (here / "my_package" / "gan.py").write_text("VALUE = 8\n")
    assert import_user_module("my_package.gan").VALUE == 8


@pytest.mark.parametrize("name", ["code", "json", "numpy", "reference"])
def test_a_module_that_another_one_hides_is_named_and_not_exchanged_for_it(name: str, here: Path) -> None:
    assert import_user_module(name).__name__ == name, "nothing here has the name"
    (here / f"{name}.py").write_text("VALUE = 7\n")
    with pytest.raises(
        ValueError, match=rf"{name}\.py has the name of a\S* \w+( of gan-harness)?, \S+, which is found first"
    ):
        import_user_module(name)


@pytest.mark.parametrize("name", ["harness", "reference"])
def test_a_package_that_is_called_like_ours_is_one_line(name: str, here: Path) -> None:
    """The user's own tests and GAN would import ours."""
    (here / name).mkdir()
    (here / name / "__init__.py").write_text("")
    (here / "my_gan.py").write_text(f"import {name}\n")
    with pytest.raises(ValueError, match=rf"{name}/__init__\.py has the name of a package of gan-harness, \S+, which"):
        import_user_module("my_gan")


def test_a_code_py_beside_the_users_gan_ends_nothing(here: Path) -> None:
    """Debuggers import Python's own `code`: a folder that goes before it on the path ended pytest."""
    (here / "code.py").write_text("raise SystemExit('mine')\n")
    (here / "my_gan.py").write_text((ROOT / "examples" / "my_gan.py").read_text())
    done = call(["list", "--reference-module", "my_gan"], here)
    assert done.returncode == 0, done.stderr
    asked = "from reference import load_module; load_module('my_gan'); import code; print(code.__file__)"
    found = subprocess.run([sys.executable, "-P", "-c", asked], cwd=here, capture_output=True, text=True, check=True)
    assert not found.stdout.startswith(str(here))


def test_code_is_told_by_all_of_a_package_and_by_nothing_else(here: Path) -> None:
    (here / "told_gan.py").write_text("VALUE = 7\n")
    (here / "told_package").mkdir()
    inner = here / "told_package" / "inner.py"
    for path in (here / "told_package" / "__init__.py", inner):
        path.write_text("")
    for name in ("told_gan", "told_package.inner"):
        import_user_module(name)
    alone, package = source_digest("told_gan"), source_digest("told_package.inner")
    assert len(alone) == len(package) == 16
    (here / "told_package" / "notes.txt").write_text("of no consequence")
    assert source_digest("told_package") == package == source_digest("told_package.inner")
    inner.write_text("VALUE = 8\n")
    assert source_digest("told_package") != package
    inner.rename(inner.with_name("other.py"))
    renamed = source_digest("told_package")
    assert renamed != package
    (here / "told_gan.py").write_text("VALUE = 8\n")
    assert source_digest("told_gan") != alone


@pytest.mark.parametrize(("name", "said"), [("nowhere_at_all", "there is no module"), ("sys", "has no file")])
def test_code_that_is_nowhere_is_one_line(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        source_digest(name)
