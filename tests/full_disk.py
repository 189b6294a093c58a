"""A module for tests: in a process that joins a run no file can grow any more, as on a full disk."""

from __future__ import annotations

import resource
import signal
import sys

if "--joins" in sys.argv:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
