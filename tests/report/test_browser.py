"""The report in a real browser: light and dark, offline, with the pointer and the keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.report import made

pytestmark = pytest.mark.browser

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
PAGES = [made.one, made.several, made.everything]
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


@pytest.fixture(scope="module", params=PAGES, ids=["one", "several", "full"])
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


def visit(browser: webdriver.Chrome, text: str, folder: Path) -> None:
    """Open a page from a file in that folder."""
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    resize(browser, WIDTH)
    browser.get(file.as_uri())


def lightness_along(browser: webdriver.Chrome, element: WebElement, parts: int) -> list[int]:
    """Return the lightness of the pixels in the middle of each part, from left to right."""
    script = """
        const [png, parts, done] = arguments;
        const image = new Image();
        image.src = `data:image/png;base64,${png}`;
        image.decode().then(() => {
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.width, image.height];
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          done([...Array(parts).keys()].map((part) => {
            const x = Math.floor((part + 0.5) * image.width / parts);
            const [r, g, b] = context.getImageData(x, Math.floor(image.height / 4), 1, 1).data;
            return r + g + b;
          }));
        });"""
    found: list[int] = browser.execute_async_script(script, element.screenshot_as_base64, parts)
    return found


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
    types = "[...new Set([...document.scripts].map(script => script.type))].sort()"
    assert js(page, types) == ["", "application/json"]
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


def test_pictures_are_drawn_and_their_texts_are_readable(page: webdriver.Chrome) -> None:
    """On a small screen as well: pictures are stretched, texts are not."""
    for width in (SMALL, WIDTH):
        resize(page, width)
        boxes = js(
            page,
            "[...document.querySelectorAll('.area > svg')].filter(s => s.checkVisibility())"
            ".map(s => [s.getBoundingClientRect().width, s.getBoundingClientRect().height,"
            " s.querySelectorAll('path, image').length])",
        )
        assert len(boxes) > 2
        for across, height, shapes in boxes:
            assert 150 < across <= width
            assert 30 < height < 500
            assert shapes > 0
        texts = "[...document.querySelectorAll('.frame text')].filter(t => t.checkVisibility())"
        heights = js(page, f"{texts}.map(text => text.getBoundingClientRect().height)")
        assert min(heights) > 9


def test_heat_maps_are_monotone(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """More is darker on white and lighter on black, in the pixels that Chromium draws."""
    visit(browser, made.ramp(), tmp_path)
    area = browser.find_element("css selector", "figure[id$='-cpu-all'] .area")
    prefer(browser, "light")
    light = lightness_along(browser, area, 8)
    assert light == sorted(set(light), reverse=True)
    prefer(browser, "dark")
    dark = lightness_along(browser, area, 8)
    assert dark == sorted(set(dark))


def test_light_and_dark(page: webdriver.Chrome) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        prefer(page, scheme)
        seen[scheme] = (
            lightness(page, "html", "backgroundColor"),
            lightness(page, "body", "color"),
            lightness(page, ".frame text", "fill"),
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


def test_values_show_under_the_pointer_and_the_keyboard(page: webdriver.Chrome) -> None:
    """The figures are those of ``made``: 90 samples of one host, or 600 with a change."""
    area = page.find_element("css selector", "figure.plot .area")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
    ActionChains(page).move_to_element(area).perform()
    readout = "document.querySelector('figure.plot .readout').textContent"
    assert re.match(r"2026-01-31 12:0\d:\d\d.*\d/s", js(page, readout))
    area.send_keys(Keys.HOME)
    first = js(page, readout)
    area.send_keys(Keys.ARROW_RIGHT)
    second = js(page, readout)
    assert first[:19] < second[:19]
    assert area.get_attribute("role") == "slider"
    assert area.get_attribute("aria-valuenow") == "1"
    told = area.get_attribute("aria-valuetext")
    assert told is not None
    assert told.startswith(second[:19])


def test_zoom_is_the_same_in_all_pictures_of_a_host(page: webdriver.Chrome) -> None:
    area = page.find_element("css selector", "figure.plot .area")
    boxes = "[...document.querySelectorAll('figure[data-of=r0] .area > svg')]"
    boxes += ".map(svg => svg.getAttribute('viewBox'))"
    whole = js(page, boxes)
    assert set(whole) == {"0 0 10000 1000"}
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", area)
    chain = ActionChains(page).move_to_element_with_offset(area, -100, 0).click_and_hold()
    chain.move_by_offset(150, 0).release().perform()
    zoomed = js(page, boxes)
    assert len(set(zoomed)) == 1
    begin, _, length, _ = map(float, zoomed[0].split())
    box = area.rect["width"]
    assert begin == pytest.approx(10000 * (0.5 - 100 / box), abs=10000 / box)
    assert length == pytest.approx(10000 * 150 / box, abs=20000 / box)
    axes = "[...document.querySelectorAll('figure[data-of=r0] .x')].map(x => x.textContent)"
    assert all(js(page, axes))
    area.send_keys("0")
    assert js(page, boxes) == whole


def test_the_values_of_a_heat_map_are_those_of_the_recording(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    """Cells are read from the picture, so their precision is a 255th of the scale."""
    visit(browser, made.ramp(), tmp_path)
    area = browser.find_element("css selector", "figure[id$='-cpu-all'] .area")

    def told() -> str:
        return area.get_attribute("aria-valuetext") or ""

    def has_cells(_: webdriver.Chrome) -> bool:
        area.send_keys(Keys.HOME)
        return "about" in told()

    WebDriverWait(browser, 120).until(has_cells)
    for second in range(8):
        found = re.search(r"CPU 0 about (\S+)/s", told())
        assert found
        assert float(found[1]) == pytest.approx(100 * (second + 1), abs=800 / 255 + 1)
        area.send_keys(Keys.ARROW_RIGHT)
