"""CSV files in headless Chromium."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.processes import ApplicationProcess
from tests.application.browser import DESKTOP, PHONE, chromium, opened, overflows, violations
from tests.application.stand_in import ODD_NAMES, StandIn, busy

pytestmark = pytest.mark.needs("chromium")

N_ROWS = 50_000
BAD = {3: "six", 4_000: "1e39", 4_001: "-1e39", 40_000: ""}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write rows with notes in quotes and four cells that can't be used."""
    path = tmp_path_factory.mktemp("upload") / "areas.csv"
    seeded = random.Random(0)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["note", "RM"])
        for row in range(2, N_ROWS + 2):
            writer.writerow([f'a "row",\n{row}', BAD.get(row, f"{seeded.uniform(4, 8):.3f}")])
    return path


def choose(page: Page, address: str, file: Path) -> None:
    page.goto(address)
    page.get_by_label("CSV file").set_input_files(file)


def downloaded(page: Page, button: Any, path: Path) -> list[list[str]]:
    with page.expect_download() as download:
        button.click()
    download.value.save_as(path)
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_fifty_thousand_rows(
    browser: Browser,
    application: ApplicationProcess,
    file: Path,
    tmp_path: Path,
    size: dict[str, int],
) -> None:
    with opened(browser, viewport=size) as page:
        choose(page, f"{application.url}/models/rooms/file", file)
        expect(page.locator("#preview th.read")).to_have_text("RM")
        expect(page.locator("#preview tbody tr")).to_have_count(5)
        expect(page.locator("#preview td").first).to_have_text('a "row",\n2')
        page.evaluate(
            """() => {
              window.told = new Set();
              const state = document.getElementById("state");
              const look = () => {
                window.told.add(state.textContent);
                requestAnimationFrame(look);
              };
              look();
            }"""
        )
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#state")).to_have_text(
            "All 50,000 rows read: 49,996 predicted, 4 can't be used.", timeout=60_000
        )
        assert page.evaluate("window.told.size") > 5, "frames were drawn while rows were sent"
        expect(page.locator("#problems li")).to_have_text(
            [
                "Row 3, RM: 'six' is not a number",
                "Row 4000, RM: 1e+39 is above 3.4e+38, the highest float32 number",
                "Row 4001, RM: -1e+39 is below -3.4e+38, the lowest float32 number",
                "Row 40000, RM: is empty",
            ]
        )
        assert violations(page) == []
        assert not overflows(page)
        link = page.get_by_role("link", name="Download")
        rows = downloaded(page, link, tmp_path / "predicted.csv")
    assert rows[0] == ["note", "RM", "MEDV predicted", "problem"]
    assert [row[0] for row in rows[1:]] == [f'a "row",\n{n}' for n in range(2, N_ROWS + 2)]
    assert sum(1 for row in rows[1:] if row[2]) == N_ROWS - len(BAD)


def test_without_javascript(
    browser: Browser, application: ApplicationProcess, file: Path, tmp_path: Path
) -> None:
    with opened(browser, java_script_enabled=False) as page:
        choose(page, f"{application.url}/models/rooms/file", file)
        button = page.get_by_role("button", name="Predict")
        rows = downloaded(page, button, tmp_path / "predicted.csv")
    assert len(rows) == N_ROWS + 1
    assert rows[2][3] == "row 3, RM: 'six' is not a number"


def test_a_file_without_the_columns_is_told_before_it_is_sent(
    browser: Browser, application: ApplicationProcess, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("a;b\n1;2\n")
    with opened(browser) as page:
        choose(page, f"{application.url}/models/rooms/file", tmp_path / "other.csv")
        expect(page.locator("#file-problem")).to_have_text("The first row does not name RM.")
        expect(page.get_by_role("button", name="Predict")).to_be_disabled()


def test_a_failure_in_the_middle_is_told_and_gone_on_from(browser: Browser, tmp_path: Path) -> None:
    endpoint = StandIn()
    (tmp_path / "rooms.csv").write_text("RM\n" + "6.5\n" * 2500)
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, "--timeout-s", "1", log=tmp_path / "log") as application,
        opened(browser) as page,
    ):
        choose(page, f"{application.url}/models/rooms/file", tmp_path / "rooms.csv")
        endpoint.replies.extend([busy("3"), busy("90")])
        page.get_by_role("button", name="Predict").click()
        state = page.locator("#state")
        expect(state).to_have_text("The server is busy. Trying again in 3 seconds (1 of 5).")
        expect(state).to_contain_text("0 rows are done and kept.", timeout=10_000)
        page.get_by_role("button", name="Go on").click()
        expect(state).to_contain_text("All 2,500 rows read")
    assert [len(rows) for rows in endpoint.rows] == [1000, 1000, 1000, 1000, 500]


def test_names_with_marks_of_every_kind(browser: Browser, tmp_path: Path) -> None:
    endpoint = StandIn()
    endpoint.highest = 8.5
    path = tmp_path / "odd.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows([["n", *ODD_NAMES], [1, 9, 2, 3], [2, 1, 9, 3]])
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, log=tmp_path / "log") as application,
        opened(browser) as page,
    ):
        choose(page, f"{application.url}/models/odd/file", path)
        expect(page.locator("#preview th.read")).to_have_text(ODD_NAMES)
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#problems li")).to_have_text(
            [
                "Row 2, driver's age: 9.0 is above 8.5, the highest float32 number",
                "Row 3, a: b, feature 'x': 9.0 is above 8.5, the highest float32 number",
            ]
        )


@pytest.mark.parametrize("script", [True, False])
def test_a_spreadsheet_runs_nothing_of_the_download(
    browser: Browser, application: ApplicationProcess, tmp_path: Path, *, script: bool
) -> None:
    path = tmp_path / "formula.csv"
    path.write_text('=note,RM\n=1+1,6\n"a;\r\n@x",7\n-1.5,8\n')
    with opened(browser, java_script_enabled=script) as page:
        choose(page, f"{application.url}/models/rooms/file", path)
        button = page.get_by_role("button", name="Predict")
        if script:
            button.click()
            button = page.get_by_role("link", name="Download")
        rows = downloaded(page, button, tmp_path / "predicted.csv")
    assert rows[0] == ["'=note", "RM", "MEDV predicted", "problem"]
    assert [row[:2] for row in rows[1:]] == [["'=1+1", "6"], ["a;\r\n'@x", "7"], ["-1.5", "8"]]


def test_it_can_be_stopped(browser: Browser, tmp_path: Path) -> None:
    endpoint = StandIn()
    (tmp_path / "rooms.csv").write_text("RM\n" + "6.5\n" * 10)
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, "--timeout-s", "1", log=tmp_path / "log") as application,
        opened(browser) as page,
    ):
        choose(page, f"{application.url}/models/rooms/file", tmp_path / "rooms.csv")
        endpoint.replies.append(busy("50"))
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#state")).to_contain_text("Trying again in 50 seconds")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#state")).to_have_text("Stopped. 0 rows are done and kept.")
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#state")).to_contain_text("10 predicted")
