"""The report as a page: whole by itself, true to the manifest, told in words too."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from model_server.model import directory as model_directory
from training import boston, pipeline, table
from training.settings import Settings

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page holds, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> Any:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module", params=["rooms", "boston"])
def directory(models: Path, request: pytest.FixtureRequest) -> Any:
    return models / request.param


@pytest.fixture(scope="module")
def text(directory: Any) -> Any:
    return (directory / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Any:
    return Page(text)


def test_it_loads_nothing(page: "Page", text: str) -> None:
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)|(?:src|href)\s*=\s*['\"](?!#)", text)
    assert len(text.encode()) < 500_000


def test_it_is_well_formed_with_unique_ids(page: "Page") -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {
        attributes["xlink:href"].removeprefix("#")
        for tag, attributes in page.attributes
        if tag == "use"
    }
    assert used
    assert used <= set(ids)


def test_every_plot_is_told_in_words(page: "Page", directory: Any) -> None:
    plots = [attributes for tag, attributes in page.attributes if tag == "svg"]
    features = len(model_directory.read(directory).manifest.features)
    assert len(plots) == 4 + features
    for attributes in plots:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"]) > 30


def test_headings_and_table_headers(page: "Page") -> None:
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == 4
    assert all("scope" in attributes for tag, attributes in page.attributes if tag == "th")


def test_colours_are_those_of_the_page(text: str) -> None:
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(?:fill|stroke): #", text)


def test_it_says_what_the_manifest_says(page: "Page", directory: Any) -> None:
    manifest = model_directory.read(directory).manifest
    assert manifest.version in page.text
    assert f"${manifest.metrics['mae'].mean:,.0f}" in page.text
    assert f"${manifest.metrics['rmse'].mean:,.0f}" in page.text
    assert f"{manifest.conversion.rows_compared:,} rows" in page.text
    for feature in manifest.features:
        assert feature.description in page.text


def test_it_says_what_the_data_is_and_is_not_for(page: "Page") -> None:
    assert "16 of 506 rows are at that cap" in page.text
    assert "share of Black residents" in page.text
    assert "valuing a real home today" in page.text
    assert "Harrison & Rubinfeld (1978)" in page.text


@pytest.mark.slow
def test_no_cap_is_told_of_where_no_row_is_at_it(tmp_path: Path) -> None:
    cells = table.read(boston.DATA)
    rows = [row for row, value in enumerate(cells["MEDV"]) if float(value) < 50][:60]
    dataset, card = boston.rooms(
        {name: [each[row] for row in rows] for name, each in cells.items()}
    )
    settings = Settings(candidates=("forest",), n_estimators=5)
    trained = pipeline.train(dataset, card, tmp_path, settings, lambda *_: None)
    page = Page(trained.package.files[pipeline.REPORT].decode())
    assert "are at that cap" not in page.text
    assert "The value is declared to rise" in page.text
