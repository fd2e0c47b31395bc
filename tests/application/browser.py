"""Headless Chromium, and what every browser test looks for."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}
IMAGES = Path(__file__).parents[2] / "docs" / "images"
WRITE = os.environ.get("WRITE_IMAGES") == "1"

expect.set_options(timeout=30_000)

_AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; as root it runs without its sandbox."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with contextlib.closing(browser):
            yield browser


@contextlib.contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page of its own context that must say nothing on its console but failed loads."""
    said: list[str] = []
    with contextlib.closing(browser.new_context(**{"locale": "en-US", **options})) as context:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
    assert [text for text in said if not text.startswith("Failed to load resource")] == []


def violations(page: Page) -> list[str]:
    """Return what axe finds at fault, one line each, once nothing fades in or out any more."""
    page.evaluate("Promise.allSettled(document.getAnimations().map(one => one.finished))")
    page.evaluate(_AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]


def overflows(page: Page) -> bool:
    """Tell whether the page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def keep(page: Page, name: str) -> None:
    """Write a screenshot for the README, where ``WRITE_IMAGES=1`` asks for it."""
    if WRITE:
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=IMAGES / f"application-{name}.png")
