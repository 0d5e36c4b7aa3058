"""axe-core finds nothing to say against the page, however it is looked at.

Pictures of all looks are left in `test-results/`, for people to look at.
"""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from llm_proxy.domain.record import Attempt, Outcome
from tests.support.page_server import KEY, page_server

from .node import MODULES, install_tools
from .visitor import settled, sign_in, tab, unfold

PICTURES = Path("test-results")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LIMITED = Attempt(
    "u", "key-1 …ab12", status=429, fault="rate_limited", reason="Slow down.", cool_s=20
)
ANSWERED = Attempt("u", "key-2 …77fe", status=200, start_ms=20, first_byte_ms=400, total_ms=610)


COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules that see a theme; all others see what both themes share."""


def complaints(page: Page) -> list[str]:
    """Return what axe finds in either theme: rule, words, and the elements it means."""
    found = []
    looks: tuple[tuple[Literal["light", "dark"], list[str]], ...] = (
        ("light", TAGS),
        ("dark", COLOURS),
    )
    for theme, which in looks:
        page.emulate_media(color_scheme=theme)
        answer: Any = page.evaluate(
            "which => axe.run({runOnly: which, resultTypes: ['violations']})", which
        )
        found += [
            f"{theme}: {one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']][:4]}"
            for one in answer["violations"]
        ]
    return found


def take_pictures(page: Page, what: str, look: str, *, full_page: bool = False) -> None:
    """Leave a picture in either theme."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=PICTURES / f"{what}-{theme}-{look}.png", full_page=full_page)


@pytest.mark.parametrize("size", [(375, 800), (1280, 900)], ids=["phone", "desktop"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_nobody_is_kept_out(browser: Browser, locale: str, size: tuple[int, int]) -> None:
    install_tools()
    axe = (MODULES / "axe-core" / "axe.min.js").read_text()
    name = f"{locale[:2]}-{size[0]}"
    look = {
        "locale": locale,
        "viewport": {"width": size[0], "height": size[1]},
        "reduced_motion": "reduce",
    }
    with page_server() as server, tab(browser, server.address, **look) as page:
        server.finish(attempts=[LIMITED, ANSWERED])
        server.finish(outcome=Outcome.UPSTREAM_ERROR, status=502, error="the upstream failed")
        server.rest(state="cooling", back_in_s=95.0, cause="quota", source="header")
        expect(page.locator("#access-key")).to_be_visible()
        page.evaluate(axe)
        assert complaints(page) == []  # as a stranger sees it
        sign_in(page, KEY)
        settled(page)
        unfold(page)
        page.locator(".chip.more").click()
        expect(page.locator(".flight-none")).to_be_visible()
        expect(page.locator("details:not([open])")).to_have_count(0)
        assert complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        take_pictures(page, "page", name, full_page=True)
        page.locator("tr.request").last.get_by_role("button").click()
        expect(page.locator(".step")).to_have_count(2)
        assert complaints(page) == []
        take_pictures(page, "request", name)
