"""The icons are `icon.svg`, drawn by Chromium; ``WRITE_IMAGES=1`` draws them again."""

import io
from pathlib import Path

import pytest
from matplotlib import image

from harness.processes import ROOT
from tests.application.browser import WRITE, chromium

STATIC = ROOT / "application" / "static"
ROUNDED, SQUARE = 'rx="112"', 'rx="0"'


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    ("name", "size", "corners"),
    [
        ("icon-192.png", 192, ROUNDED),
        ("icon-512.png", 512, ROUNDED),
        ("icon-maskable-512.png", 512, SQUARE),
    ],
)
def test_an_icon_is_drawn_from_the_source(name: str, size: int, corners: str) -> None:
    source = (STATIC / "icon.svg").read_text()
    assert ROUNDED in source
    drawn = _draw(source.replace(ROUNDED, corners), size)
    if WRITE:
        (STATIC / name).write_bytes(drawn)
    assert _difference(drawn, STATIC / name) < 2


def _draw(source: str, size: int) -> bytes:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": size, "height": size})
        page.set_content(
            f"<style>body{{margin:0}}svg{{display:block;width:{size}px}}</style>{source}"
        )
        return page.screenshot(omit_background=True)


def _difference(drawn: bytes, kept: Path) -> float:
    """Return the mean difference of the pixels, of 255; edges differ between versions."""
    one, other = (image.imread(io.BytesIO(content)) for content in (drawn, kept.read_bytes()))
    return float(abs(one - other).mean() * 255)
