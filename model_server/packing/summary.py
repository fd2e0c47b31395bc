"""What was found out of a model, for the person who packs it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from model_server.model.manifest import Conversion, Feature, Manifest, Output

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 40
"""The most characters of a cell."""


def text(manifest: Manifest) -> str:
    """Tell what a model reads, what it gives, and what computes that."""
    features = [_feature(feature) for feature in manifest.features]
    outputs = [_output(output) for output in manifest.outputs]
    return "\n".join(
        [
            *_table(("column", "type", "if missing", "if another", "in the sample"), features),
            "",
            *_table(("output", "a row", "of"), outputs),
            "",
            f"computed by: {_runtime(manifest.conversion)}",
        ]
    )


def comparison(predictions: npt.NDArray[Any], truth: "pd.DataFrame") -> str:
    """Tell how far predictions of shape (n_rows, ...) are from the truth."""
    y, right = predictions.reshape(len(predictions), -1), truth.to_numpy()
    if y.dtype.kind == "f" and right.dtype.kind in "fi":
        off = float(np.sqrt(np.nanmean((y - right) ** 2)))
        return f"{off:.4g} root mean squared error on {len(y)} rows"
    same = int((y.astype(str) == right.astype(str)).all(axis=1).sum())
    return f"{same} of {len(y)} rows the same"


def _feature(feature: Feature) -> tuple[str, ...]:
    kind = f"{feature.type} of {feature.length}" if feature.length else feature.type
    seen = ", ".join(map(str, feature.categories))
    if feature.minimum is not None and feature.maximum is not None:
        seen = f"{feature.minimum:g} to {feature.maximum:g}, median {feature.median:g}"
    another = _allowed(feature.unknown) if feature.categories else ""
    return feature.name, kind, _allowed(feature.missing), another, seen


def _allowed(allowed: bool) -> str:  # noqa: FBT001 - of a manifest
    return "answered" if allowed else "refused"


def _output(output: Output) -> tuple[str, ...]:
    shape = f"{' x '.join(map(str, output.shape))} of {output.type}"
    return output.name, shape if output.shape else output.type, ", ".join(map(str, output.names))


def _runtime(conversion: Conversion) -> str:
    if not conversion.converted:
        return f"the estimator, as no graph agrees ({conversion.reason})"
    difference = f"largest difference {conversion.largest_difference:.1g}"
    return f"a graph in ONNX Runtime, compared on {conversion.rows_compared:,} rows, {difference}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    cut = [
        [cell if len(cell) <= _SHOWN else f"{cell[: _SHOWN - 3]}..." for cell in row]
        for row in (head, *rows)
    ]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    for row in cut:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
