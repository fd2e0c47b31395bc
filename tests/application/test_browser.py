"""The pages in headless Chromium, as people meet them on a phone and on a desktop."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.ports import reserve_port
from harness.processes import ApplicationProcess, ServerProcess
from tests.application.browser import (
    DESKTOP,
    NARROW,
    PHONE,
    chromium,
    keep,
    opened,
    overflows,
    violations,
)
from tests.application.stand_in import ODD_NAMES, StandIn, busy

pytestmark = pytest.mark.needs("chromium")

ROOMS = "Average number of rooms per dwelling"
SLIDER = f"{ROOMS}, as a slider"
PAGES = ("/", "/?RM=9.5", "/?RM=six", "/models/boston", "/models/boston/file", "/about", "/none")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def amount(page: Page) -> Any:
    return page.locator("#answer .amount data")


def field(page: Page) -> Any:
    return page.get_by_label(ROOMS, exact=True)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_one_prediction(
    browser: Browser, application: ApplicationProcess, server: ServerProcess, size: dict[str, int]
) -> None:
    asked = server.predict("rooms", '{"instances": [[7.25]]}', "application/json")
    [value] = asked.json()["predictions"]
    with opened(browser, viewport=size) as page:
        page.goto(application.url)
        field(page).fill("7.25")
        expect(amount(page)).to_have_attribute("value", str(value))
        expect(page.get_by_role("status").last).to_contain_text("Nine in ten such areas lie")
        assert page.get_by_label(SLIDER).input_value() == "7.25"
        assert page.url.endswith("/?RM=7.25")
        page.reload()
        expect(field(page)).to_have_value("7.25")
        expect(amount(page)).to_have_attribute("value", str(value))


def test_bounds(browser: Browser, application: ApplicationProcess) -> None:
    with opened(browser, viewport=PHONE) as page:
        page.goto(application.url)
        for key, end in (("Home", "3.57"), ("End", "8.78")):
            page.get_by_label(SLIDER).press(key)
            expect(field(page)).to_have_value(end)
            expect(page).to_have_url(re.compile(re.escape(end)))
            expect(page.locator("#answer[aria-busy]")).to_have_count(0)
            expect(page.locator(".outside")).to_have_count(0)
        for outside in ("3", "12"):
            field(page).fill(outside)
            expect(page.locator(".outside")).to_contain_text("No such area was in the data")
        field(page).fill("7")
        expect(page.locator(".outside")).to_have_count(0)


def test_bad_input_is_explained_at_its_field(
    browser: Browser, application: ApplicationProcess
) -> None:
    with opened(browser, viewport=DESKTOP) as page:
        page.goto(f"{application.url}/models/boston")
        crime = page.get_by_label("Per capita crime rate by town")
        crime.fill("much")
        expect(page.locator("#CRIM-problem")).to_have_text("'much' is not a number")
        expect(crime).to_have_attribute("aria-invalid", "true")
        page.get_by_role("link", name="'much' is not a number").click()
        expect(crime).to_be_focused()
        crime.fill("0.1")
        expect(page.locator("#CRIM-problem")).to_be_empty()
        expect(crime).not_to_have_attribute("aria-invalid", "true")
        expect(amount(page)).to_be_visible()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_with_marks_of_every_kind_is_marked(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    endpoint = StandIn()
    endpoint.highest = 8.5
    label = name[0].upper() + name[1:]
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, log=tmp_path / "log") as application,
        opened(browser) as page,
    ):
        page.goto(f"{application.url}/models/odd")
        odd = page.get_by_label(label, exact=True)
        for typed, problem in (("9", "9.0 is above 8.5"), ("six", "'six' is not a number")):
            odd.fill(typed)
            expect(odd).to_have_accessible_description(re.compile(re.escape(problem)))
            expect(page.locator("[aria-invalid=true]")).to_have_count(1)
            expect(odd).to_have_attribute("aria-invalid", "true")
            page.get_by_role("link", name=f"{label}: {problem}").click()
            expect(odd).to_be_focused()
        assert violations(page) == []


def test_the_page_tells_what_the_command_of_the_readme_tells(
    browser: Browser, application: ApplicationProcess, server: ServerProcess
) -> None:
    asked = server.predict("rooms", '{"instances": [{"RM": 6.2085}]}', "application/json")
    [value] = asked.json()["predictions"]
    with opened(browser, viewport=PHONE) as page:
        page.goto(application.url)
        expect(field(page)).to_have_value("6.2085")
        expect(amount(page)).to_have_attribute("value", str(value))
        expect(amount(page)).to_have_text(f"${round(value, -2):,.0f}")


def test_by_keyboard_alone(browser: Browser, application: ApplicationProcess) -> None:
    with opened(browser, viewport=DESKTOP) as page:
        page.goto(application.url)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(field(page)).to_be_focused()
        page.keyboard.press("Control+a")
        page.keyboard.type("5.5")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{application.url}/?RM=5.5")
        before = amount(page).inner_text()
        page.keyboard.press("Tab")
        expect(page.get_by_label(SLIDER)).to_be_focused()
        for _ in range(100):
            page.keyboard.press("ArrowRight")
        expect(field(page)).to_have_value("6.5")
        expect(amount(page)).not_to_have_text(before)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_without_javascript(
    browser: Browser, application: ApplicationProcess, size: dict[str, int]
) -> None:
    with opened(browser, viewport=size, java_script_enabled=False) as page:
        page.goto(application.url)
        expect(page.get_by_role("slider")).to_be_hidden()
        before = amount(page).inner_text()
        field(page).fill("8")
        page.get_by_role("button", name="Show the value").click()
        expect(page).to_have_url(re.compile(r"RM=8$"))
        expect(amount(page)).not_to_have_text(before)
        expect(page.get_by_text("Nine in ten such areas lie between")).to_be_visible()
        field(page).fill("<eight>")
        field(page).press("Enter")
        expect(page.locator("#RM-problem")).to_have_text("'<eight>' is not a number")
        expect(field(page)).to_have_value("<eight>")


def test_numbers_of_the_reader(browser: Browser, application: ApplicationProcess) -> None:
    with opened(browser, locale="de-DE") as page:
        page.goto(application.url)
        expect(field(page)).to_have_value("6,2085")
        page.get_by_label(SLIDER).press("End")
        expect(field(page)).to_have_value("8,78")
        expect(amount(page)).to_contain_text("45.300")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [NARROW, DESKTOP])
def test_anyone_can_use_every_page(
    browser: Browser, application: ApplicationProcess, size: dict[str, int], scheme: str
) -> None:
    faults = {}
    with opened(browser, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
        for address in PAGES:
            page.goto(application.url + address)
            faults[address] = violations(page) + ["too wide"] * overflows(page)
    assert faults == {address: [] for address in PAGES}


def test_dark_mode_is_dark(browser: Browser, application: ApplicationProcess) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        with opened(browser, viewport=PHONE, color_scheme=scheme) as page:
            page.goto(application.url)
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades[scheme] = sum(map(int, re.findall(r"\d+", colour)[:3]))
    assert shades["dark"] < 150
    assert shades["light"] > 600


def test_offline_it_opens_and_says_so(browser: Browser, application: ApplicationProcess) -> None:
    with opened(browser, viewport=PHONE) as page:
        page.goto(application.url)
        page.evaluate("navigator.serviceWorker.ready")
        page.context.set_offline(True)
        expect(page.locator("#offline")).to_be_visible()
        field(page).fill("7.5")
        expect(page.get_by_text("server can't be reached")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
        expect(amount(page)).to_have_count(0)
        assert page.evaluate("document.querySelector('.brand img').naturalWidth") > 0
        assert violations(page) == []
        page.context.set_offline(False)
        expect(field(page)).to_have_value("7.5")
        expect(amount(page)).to_be_visible()


def test_no_answer_is_kept(browser: Browser, application: ApplicationProcess) -> None:
    with opened(browser) as page:
        page.goto(f"{application.url}/?RM=7")
        page.evaluate("navigator.serviceWorker.ready")
        page.reload()
        kept = page.evaluate(
            """async () => {
              const caches_ = await Promise.all((await caches.keys()).map((k) => caches.open(k)));
              const requests = await Promise.all(caches_.map((cache) => cache.keys()));
              return requests.flat().map((request) => new URL(request.url).pathname);
            }"""
        )
    assert "/offline" in kept
    assert all(path == "/offline" or path.startswith("/static/") for path in kept)


def test_the_endpoint_stops_and_comes_back(browser: Browser, models: Path, tmp_path: Path) -> None:
    same_port = ("--http-port", str(reserve_port()))
    with (
        ServerProcess(models, *same_port, log=tmp_path / "server") as server,
        ApplicationProcess(server.url, log=tmp_path / "log") as application,
        opened(browser, viewport=PHONE) as page,
    ):
        page.goto(application.url)
        expect(amount(page)).to_be_visible()
        server.stop()
        field(page).fill("7.5")
        notice = page.locator("#answer .notice")
        expect(notice).to_contain_text("can't be reached just now")
        expect(field(page)).to_have_value("7.5")
        expect(page.locator("#answer[aria-busy]")).to_have_count(0)
        assert violations(page) == []
        page.reload()
        expect(field(page)).to_have_value("7.5")
        expect(notice).to_contain_text("What you typed is kept")
        with server:
            notice.get_by_role("link", name="Try again").click()
            expect(amount(page)).to_be_visible()


def test_a_busy_endpoint_is_asked_again_and_told(browser: Browser, tmp_path: Path) -> None:
    endpoint = StandIn()
    with (
        endpoint.listening() as address,
        ApplicationProcess(address, "--timeout-s", "1", log=tmp_path / "log") as application,
        opened(browser, viewport=PHONE) as page,
    ):
        page.goto(application.url)
        endpoint.replies.append(busy("2"))
        field(page).fill("7.5")
        expect(page.get_by_text("Trying again in 2 seconds (1 of 5)").first).to_be_visible()
        expect(amount(page)).to_have_text("$24,800")
        assert endpoint.rows[-2] == endpoint.rows[-1] == [{"RM": "7.5"}]


@pytest.mark.parametrize(
    ("name", "address", "options"),
    [
        ("phone-light", "/?RM=6.8", {"viewport": PHONE, "color_scheme": "light"}),
        ("phone-dark", "/?RM=6.8", {"viewport": PHONE, "color_scheme": "dark"}),
        ("desktop", "/models/boston", {"viewport": DESKTOP, "color_scheme": "light"}),
    ],
)
def test_pages_of_the_readme(
    browser: Browser,
    application: ApplicationProcess,
    name: str,
    address: str,
    options: dict[str, Any],
) -> None:
    with opened(browser, **options) as page:
        page.goto(application.url + address)
        expect(page.locator("#answer figure")).to_be_visible()
        keep(page, name)
