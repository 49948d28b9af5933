"""Settings of the whole suite: kernels are cached in one folder of the run's own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("SPIRALTORCH_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"spiraltorch-tests-{os.getuid()}"))
