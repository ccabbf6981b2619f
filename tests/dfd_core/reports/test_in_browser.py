"""The page in headless Chromium, where there is one: Debian has it as the package `chromium`."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(browser_module)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = browser_module.find()
    if path is None:
        pytest.skip("no Chromium on this machine")
    found = browser_module.Browser(path, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def address(written):
    return (written / "index.html").as_uri()


def overflow(browser):
    return browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_fits_its_screen_and_needs_no_network(browser, address, width, dark):
    browser.open(address, width, dark)
    decoded = browser.value(
        "Promise.all([...document.images].map(image => image.decode().then(() => image.naturalWidth > 0)))"
    )
    assert len(decoded) > 20
    assert all(decoded)
    assert browser.value("document.documentElement.clientWidth") in range(width - 20, width + 1)
    assert overflow(browser) == 0
    assert [url for url in browser.requests() if not url.startswith(("file:", "data:"))] == []
    assert browser.complaints() == []
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert overflow(browser) == 0
    wider = "[...document.querySelectorAll('section > *')].filter(one => one.scrollWidth > one.clientWidth + 1 && "
    wider += "getComputedStyle(one).overflowX === 'visible').length"
    assert browser.value(wider) == 0, "what is wider than the page scrolls in a box of its own"


@pytest.mark.parametrize("width", [390, 1280])
def test_pictures_are_neither_too_small_to_read_nor_blown_up(browser, address, width):
    browser.open(address, width)
    scales = browser.value("[...document.images].map(one => one.getBoundingClientRect().width / one.naturalWidth)")
    assert min(scales) >= 0.499  # 72 of the 144 pixels an inch: letters of 8 points are 8 pixels
    assert max(scales) <= 0.7


def test_the_contents_lead_to_every_section(browser, address):
    browser.open(address, 390)
    places = "[...document.querySelectorAll('nav a')].map(one => document.querySelector(one.getAttribute('href')))"
    assert browser.value(f"{places}.every(one => one && one.querySelector('h2'))")


def test_dark_mode_has_light_letters_on_dark_paper(browser, address):
    browser.open(address, 390, dark=True)
    corner = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("L"))[:60, :380]
    assert np.median(corner) < 60
    assert corner.max() > 200


def test_a_page_that_asks_for_more_or_is_too_wide_is_caught(browser, tmp_path):
    bad = "<body><div style='width:3000px'>x</div><img src='http://example.invalid/a.png'><script>oops()</script>"
    (tmp_path / "bad.html").write_text(bad)
    browser.open((tmp_path / "bad.html").as_uri(), 390)
    assert overflow(browser) > 0
    assert any(url.startswith("http:") for url in browser.requests())
    assert browser.complaints()
