"""A CSV file as a table of texts, checked for its shape but not yet for its meaning."""

import csv
from collections.abc import Sequence
from pathlib import Path

from model_server.model.numbers import SPACE
from training.errors import TrainingError

Table = dict[str, list[str]]


def read(path: Path) -> Table:
    """Read a CSV file with a header into one list of cells a column.

    Rows are counted from 1, without the header; blank lines are no rows.

    Raises
    ------
    TrainingError
        If the file can't be read, is empty, has no rows, a column twice or a row of another length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, strict=True) if line]
    except OSError as error:
        raise TrainingError(
            f"{path}: can't be read ({error.strerror}); check the path and its mode"
        ) from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path}: is not UTF-8; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise TrainingError(f"{path}: is not CSV ({error}); save it again as CSV") from error
    if not lines:
        raise TrainingError(f"{path}: is empty; give a CSV file with a header and rows")
    header, *rows = [[cell.strip(SPACE) for cell in line] for line in lines]
    _check_header(path, header)
    if not rows:
        raise TrainingError(f"{path}: has a header but no rows; add the data below it")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise TrainingError(
                f"{path}: row {number} has {len(row)} cells, the header has {len(header)}; "
                "give every row one cell a column"
            )
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def check_columns(table: Table, names: Sequence[str]) -> None:
    """See that a table has the columns that are named.

    Raises
    ------
    TrainingError
    """
    for name in names:
        if name not in table:
            raise TrainingError(f"there is no column {name!r}; the columns are {', '.join(table)}")


def _check_header(path: Path, header: list[str]) -> None:
    for position, name in enumerate(header, start=1):
        if not name:
            raise TrainingError(f"{path}: column {position} has no name; name it in the header")
        if header.count(name) > 1:
            raise TrainingError(f"{path}: column {name!r} is there twice; rename or drop one")
