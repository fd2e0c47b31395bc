"""Quantities as a person reads them."""

_MINUS = "\N{MINUS SIGN}"


def quantity(value: float, unit: str) -> str:
    """Write a value with its unit: dollars in front and without cents, others behind."""
    if unit == "USD":
        return f"{_MINUS if value < 0 else ''}${abs(value):,.0f}"
    return f"{number(value)} {unit}".rstrip()


def tick(value: float, unit: str) -> str:
    """Write a value as short as an axis needs it, without the unit."""
    if unit == "USD":
        return f"{_MINUS if value < 0 else ''}${abs(value) / 1000:.3g}k" if value else "$0"
    return number(value)


def number(value: float) -> str:
    """Write a number with four significant digits."""
    return f"{value:,.4g}".replace("-", _MINUS) if abs(value) < 1e4 else f"{value:,.0f}"
