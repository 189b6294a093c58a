from __future__ import annotations

import pytest

from harness.training.fresh import fresh_processes


@pytest.mark.parametrize("module", ["harness.training.run", "harness.training.state", "torch._dynamo"])
def test_a_fresh_process_has_imported_what_trains(module: str) -> None:
    """To import it takes each longer than the trainings that determinism compares."""
    asked = f"import os, sys; os._exit(0 if {module!r} in sys.modules else 1)"
    process = fresh_processes().Process(target=exec, args=(asked,))
    process.start()
    process.join(300)
    assert process.exitcode == 0
