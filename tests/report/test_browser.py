"""The report in a real browser: light and dark, offline, and without running any script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.report import made

pytestmark = pytest.mark.browser

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
WIDTH = 1200
SMALL = 360


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Start Debian's Chromium without a window."""
    for program in (BROWSER, DRIVER):
        assert program.exists(), f"{program} is missing: tools/need chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture(scope="module", params=[made.one, made.several], ids=["one", "several"])
def page(
    request: pytest.FixtureRequest,
    browser: webdriver.Chrome,
    tmp_path_factory: pytest.TempPathFactory,
) -> webdriver.Chrome:
    """Open a report in the browser."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(request.param(), encoding="utf-8")
    resize(browser, WIDTH)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(file.as_uri())
    return browser


def resize(browser: webdriver.Chrome, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(browser: webdriver.Chrome, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def js(browser: webdriver.Chrome, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


def lightness(browser: webdriver.Chrome, selector: str, colour: str) -> int:
    """Return the lightness of an element's colour, from 0 (black) to 765 (white)."""
    style = f"getComputedStyle(document.querySelector({selector!r})).{colour}"
    return sum(int(part) for part in js(browser, f"{style}.match(/\\d+/g).slice(0, 3)"))


def test_it_loads_without_errors_and_without_network_requests(
    page: webdriver.Chrome,
) -> None:
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in sent if not url.startswith("data:")] == [page.current_url]


def test_hostile_names_do_not_run(page: webdriver.Chrome) -> None:
    assert page.title.startswith("VM exits: ")
    assert js(page, "document.scripts.length") == 0
    bold = "[...document.querySelectorAll('tbody th.name')].map(cell => cell.textContent)"
    assert made.HOSTILE[0] in js(page, bold)
    assert js(page, "document.querySelectorAll('img, iframe, [onload], [onerror]').length") == 0


def test_the_content_security_policy_stops_injected_scripts(page: webdriver.Chrome) -> None:
    """A script injected into the page, as if escaping had failed, does not run."""
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = \"document.title = 'taken'\";"
        "document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
    )
    assert page.title.startswith("VM exits: ")
    page.execute_script("document.querySelectorAll('script, img').forEach(e => e.remove())")
    messages = [entry["message"] for entry in page.get_log("browser")]
    assert any("Content Security Policy" in message for message in messages)


def test_pictures_are_drawn(page: webdriver.Chrome) -> None:
    boxes = js(
        page,
        "[...document.querySelectorAll('svg')].map(s => [s.getBoundingClientRect().width,"
        " s.getBoundingClientRect().height, s.querySelectorAll('path, image').length])",
    )
    assert len(boxes) > 5
    for width, height, shapes in boxes:
        assert 300 < width <= WIDTH
        assert 80 < height < 500
        assert shapes > 3
    sizes = "[...document.querySelectorAll('svg image')].map(i => i.getBoundingClientRect().width)"
    assert min(js(page, sizes)) > 100


def test_light_and_dark(page: webdriver.Chrome) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        prefer(page, scheme)
        seen[scheme] = (
            lightness(page, "html", "backgroundColor"),
            lightness(page, "body", "color"),
            lightness(page, "svg text", "fill"),
        )
    page_, *ink = seen["light"]
    assert (page_ > 600, max(ink) < 300) == (True, True)
    page_, *ink = seen["dark"]
    assert (page_ < 150, min(ink) > 500) == (True, True)
    page.execute_script("document.getElementById('light').click()")
    assert lightness(page, "html", "backgroundColor") > 600
    page.execute_script("document.getElementById('auto').click()")


def test_text_has_enough_contrast(page: webdriver.Chrome) -> None:
    """WCAG 2.1 AA requires 4.5:1; #767676 on white has exactly that."""
    for scheme in ("light", "dark"):
        prefer(page, scheme)
        ground = lightness(page, "html", "backgroundColor")
        for selector in (".soft", "thead th", "summary", "footer", "tbody td"):
            assert abs(lightness(page, selector, "color") - ground) > 3 * (0xFF - 0x76)


def test_it_fits_a_small_screen(page: webdriver.Chrome) -> None:
    resize(page, SMALL)
    width = js(page, "document.documentElement.scrollWidth")
    resize(page, WIDTH)
    assert width <= SMALL


def test_heading_levels_form_an_outline(page: webdriver.Chrome) -> None:
    levels = js(page, "[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_axe_finds_no_violation(page: webdriver.Chrome) -> None:
    """This covers the WCAG rules that a program can check."""
    found = Axe().run(page)
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 30
