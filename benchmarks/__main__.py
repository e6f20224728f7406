"""``python -m benchmarks``."""

import signal
import sys

from benchmarks.runner import main

signal.signal(
    signal.SIGTERM, lambda number, _: sys.exit(128 + number)
)  # so that the server is stopped as well
sys.exit(main())
