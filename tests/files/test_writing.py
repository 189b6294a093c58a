from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.files.writing import held, write_folder, write_text


def test_text_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    write_text(target, "one")
    write_text(target, "two")
    assert target.read_text() == "two"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize(
    ("mask", "file", "folder"), [(0o077, "600", "700"), (0o002, "664", "775"), (0o022, "644", "755")]
)
def test_what_is_renamed_into_place_has_the_rights_that_the_umask_leaves(
    mask: int, file: str, folder: str, tmp_path: Path
) -> None:
    asked = (
        "import os, sys; from pathlib import Path; os.umask(int(sys.argv[2]))\n"
        "from harness.files import writing as files\n"
        "at = Path(sys.argv[1]); files.write_text(at / 'f', 'x'); files.write_folder(at / 'd', lambda d: None)\n"
        "print(*(f'{p.stat().st_mode & 0o777:o}' for p in (at / 'f', at / 'd')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked, str(tmp_path), str(mask)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [file, folder]


def test_a_name_that_is_no_utf_8_can_be_written_down(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    write_text(tmp_path / "said", f"of {name}\n")
    assert (tmp_path / "said").read_text() == "of caf\\udce9\n"


def test_a_folder_is_one_writers(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        said = rf"run is being written by process {os.getpid()} on \S+ since 20"
        with pytest.raises(ValueError, match=said), held(tmp_path / "run"):
            pass
        with held(tmp_path / "other"):
            pass
    with held(tmp_path / "run"):
        pass


def test_where_nothing_can_be_written_beside_a_folder_its_lock_lies_elsewhere() -> None:
    with held(Path("/sys/run")):
        said = "/sys/run is being written by process"
        with pytest.raises(ValueError, match=said), held(Path("/sys/run")):
            pass


def test_a_failed_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_folder(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    def first(folder: Path) -> None:
        (folder / "who").write_text("first")

    def rival(folder: Path) -> None:
        (folder / "who").write_text("second")
        write_folder(tmp_path / "made", first)

    write_folder(tmp_path / "made", rival)
    assert (tmp_path / "made" / "who").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]
