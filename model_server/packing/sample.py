"""The sample: some rows as the model gets them, as a pandas frame."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from model_server.packing.errors import NotPacked


def read(path: Path) -> pd.DataFrame:
    """Read rows from CSV with a header, JSON Lines, or a pickled frame.

    Raises
    ------
    NotPacked
    """
    try:
        rows = _READERS[path.suffix](path)
    except KeyError:
        raise NotPacked(
            f"{path}: is none of {', '.join(_READERS)}", "save the rows as one of them"
        ) from None
    except OSError as error:
        raise NotPacked(
            f"{path}: can't be read ({error.strerror})", "check its path and mode"
        ) from error
    except Exception as error:
        told = str(error).splitlines()[0][:200]
        raise NotPacked(f"{path}: can't be read as rows ({told})", "save them again") from error
    if not isinstance(rows, pd.DataFrame):
        raise NotPacked(f"{path}: holds no frame", "save a pandas DataFrame")
    if rows.empty:
        raise NotPacked(f"{path}: has no rows", "give some, a hundred or more if you can")
    rows.columns = rows.columns.map(str)
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise NotPacked(f"{path}: has the column {twice!r} twice", "rename one")
    return rows.reset_index(drop=True)


def _read_lines(path: Path) -> Any:
    return pd.read_json(path, lines=True, convert_dates=False, dtype=False)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": pd.read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".pkl": joblib.load,
    ".joblib": joblib.load,
}
