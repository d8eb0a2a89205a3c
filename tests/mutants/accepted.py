"""Drawn mutants that may survive, by name, each with the reason why no test could or should notice it."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final[dict[str, str]] = {}
