"""One browser for the tests of a module, a context of its own for each.

Never longer than a module: Playwright's plain calls keep a loop running in this thread, and no
asynchronous test of another module could start one.
"""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from llm_proxy.dashboard.assets import STATIC

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    if not (STATIC / "index.html").is_file():
        pytest.skip("the page is not built: python tools/build_page.py")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
