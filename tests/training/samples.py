"""A small made-up table: flats with their price."""

import numpy as np

SHAPES = ("round", "square", "flat")


def table(rows: int = 60, seed: int = 0) -> dict[str, list[str]]:
    """Cells with two columns of numbers, one of texts, and three targets made from them."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(1, 9, rows).round(2)
    age = rng.integers(0, 40, rows).astype(float)
    shape = [SHAPES[index] for index in rng.integers(0, len(SHAPES), rows)]
    extra = np.array([SHAPES.index(each) for each in shape])
    price = (100 * area - 3 * age + 50 * extra + rng.normal(0, 20, rows)).round(1)
    return {
        "area": [str(value) for value in area],
        "age": [str(value) for value in age],
        "shape": shape,
        "price": [str(value) for value in price],
        "class": np.where(price > np.median(price), "dear", "cheap").tolist(),
        "stars": [str(int(value)) for value in np.digitize(price, np.quantile(price, [0.3, 0.6]))],
    }


def text(cells: dict[str, list[str]], *columns: str) -> str:
    """Write columns of a table as CSV."""
    names = columns or tuple(cells)
    lines = [names, *zip(*(cells[name] for name in names), strict=True)]
    return "\n".join(",".join(line) for line in lines) + "\n"
