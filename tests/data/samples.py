"""Small pictures for tests of whatever reads them, and processes that have mounts of their own."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from harness.cli.__main__ import main
from harness.data.packed import Pack
from harness.data.packing import write_pack
from tests import processes

_NEW_MOUNTS = 0x00020000


def picture(index: int, width: int = 12, height: int = 15) -> Image.Image:
    """Noise that no other index has."""
    return Image.fromarray(np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8))


def encoded(index: int, kind: str = "PNG", width: int = 12, height: int = 15) -> bytes:
    buffer = io.BytesIO()
    picture(index, width, height).save(buffer, kind)
    return buffer.getvalue()


def write_pictures(folder: Path, n: int, width: int = 12, height: int = 15) -> Path:
    folder.mkdir(parents=True)
    for index in range(n):
        (folder / f"{index:05d}.png").write_bytes(encoded(index, "PNG", width, height))
    return folder


def packed(source: Path, path: Path, side: int, *, workers: int = 0, skip_damaged: bool = False) -> Pack:
    return write_pack(source, path, side, workers=workers, skip_damaged=skip_damaged)


@functools.cache
def why_no_mounts() -> str:
    """Why no process here may have mounts of its own; "" when it may."""
    try:
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"no mounts of one's own here: {error}"
    return f"no mounts of one's own here: {done.stderr.strip()}" if done.returncode else ""


def call_with_mounts(
    mounts: Sequence[Sequence[str | Path]],
    arguments: Sequence[str | Path],
    told: Path,
    look: Path,
    seconds: float = 300,
) -> tuple[int | None, str, list[str]]:
    """Run `gan-harness` where these `mount` commands hold: exit code (None: it didn't end), stderr, names in `look`."""
    process = processes._context().Process(
        target=_apart,
        args=([[str(word) for word in one] for one in mounts], [str(one) for one in arguments], told, look),
    )
    process.start()
    process.join(seconds)
    code = process.exitcode
    process.kill()
    process.join()
    listed = told.with_suffix(".names")
    return code, told.read_text() if told.exists() else "", listed.read_text().split("\n") if listed.exists() else []


def _apart(mounts: list[list[str]], arguments: list[str], told: Path, look: Path) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    for words in (["--make-rprivate", "/"], *mounts):
        subprocess.run(["mount", *words], check=True)
    multiprocessing.set_start_method("fork", force=True)  # loader workers as in any process of a user's
    opened = os.open(told, os.O_WRONLY | os.O_CREAT)
    os.dup2(opened, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["gan-harness", *arguments]
    code: object = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            told.with_suffix(".names").write_text("\n".join(sorted(os.listdir(look))))
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)
