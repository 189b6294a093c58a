"""Does this GAN still do what its document says, and did my change make it worse?"""

import os

from harness.records.processors import waiting_policy

__version__ = "0.2.0"

# OpenMP reads this once, when PyTorch is imported, which therefore comes later.
os.environ.update(waiting_policy(os.environ))
