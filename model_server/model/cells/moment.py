"""Dates and times."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from typing_extensions import override

from model_server.model.cells.cells import Misfit, TextualCells, shown
from model_server.model.manifest import Feature
from model_server.model.numbers import SPACE

_NANOSECONDS = "[ns"
_FIRST, _LAST = datetime.fromisoformat("1678-01-01"), datetime.fromisoformat("2262-01-01")
"""What 64 bits of nanoseconds hold."""


class MomentCells(TextualCells):
    """A column of dates and times in ISO 8601, to the microsecond; a missing one is NaT.

    They have an offset from UTC each or none has one, as the pandas dtype of the training says.
    """

    dtype = "M8[us]"
    memory_factor = 24
    _absent = np.datetime64("NaT", "us")

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._has_offset = "," in feature.dtype
        self._in_nanoseconds = not feature.dtype or _NANOSECONDS in feature.dtype

    @override
    def written(self, cell: Any) -> str | None:
        if np.isnat(cell):
            return None
        return f"{cell.item().isoformat()}{'Z' if self._has_offset else ''}"

    @override
    def example(self) -> str:
        return "2000-01-01T00:00:00Z" if self._has_offset else "2000-01-01T00:00:00"

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string", **({"format": "date-time"} if self._has_offset else {})}

    @override
    def _value(self, cell: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(cell.strip(SPACE))
        except (AttributeError, TypeError, ValueError):
            raise Misfit(f"{shown(cell)} is not a date and time such as {self.example()}") from None
        if (moment.tzinfo is not None) != self._has_offset:
            needs = "has no offset from UTC" if self._has_offset else "has an offset from UTC"
            raise Misfit(f"{shown(cell)} {needs}; send it as {self.example()}")
        try:
            moment = moment.astimezone(UTC).replace(tzinfo=None) if self._has_offset else moment
        except OverflowError:
            raise Misfit(f"{shown(cell)} is not of the years 1 to 9999 in UTC") from None
        if self._in_nanoseconds and not _FIRST <= moment < _LAST:
            raise Misfit(f"{shown(cell)} is not of the years {_FIRST.year} to {_LAST.year - 1}")
        return moment
