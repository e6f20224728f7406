"""The version of greenh2: read by the build, sent as User-Agent."""

from __future__ import annotations

__version__ = "0.1.0"
