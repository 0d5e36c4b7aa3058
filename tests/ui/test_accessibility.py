"""axe-core finds nothing to say against the page, however it is looked at.

Pictures of all looks are left in `test-results/`, for people to look at.
"""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from llm_proxy.domain.record import Attempt, Outcome
from tests.support.page_server import KEY, page_server

from .node import MODULES, install_tools
from .visitor import settled, sign_in, tab

PICTURES = Path("test-results")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LIMITED = Attempt(
    "u", "key-1 …ab12", status=429, fault="rate_limited", reason="Slow down.", cool_s=20
)
ANSWERED = Attempt("u", "key-2 …77fe", status=200, start_ms=20, first_byte_ms=400, total_ms=610)


def complaints(page: Page) -> list[str]:
    """Return what axe finds: rule, words, and the elements it means."""
    found: Any = page.evaluate(
        "tags => axe.run({runOnly: tags, resultTypes: ['violations']})", TAGS
    )
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']][:4]}"
        for one in found["violations"]
    ]


@pytest.mark.parametrize("size", [(375, 800), (1280, 900)], ids=["phone", "desktop"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_nobody_is_kept_out(
    browser: Browser, locale: str, theme: str, size: tuple[int, int]
) -> None:
    install_tools()
    axe = (MODULES / "axe-core" / "axe.min.js").read_text()
    name = f"{theme}-{locale[:2]}-{size[0]}"
    look = {
        "locale": locale,
        "color_scheme": theme,
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
        page.evaluate(
            "document.querySelectorAll('details:not([open]) > summary').forEach(f => f.click())"
        )
        page.locator(".chip.more").click()
        expect(page.locator("details:not([open])")).to_have_count(0)
        expect(page.locator(".flight-none")).to_be_visible()
        assert complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.screenshot(path=PICTURES / f"page-{name}.png", full_page=True)
        page.locator("tr.request").last.get_by_role("button").click()
        expect(page.locator(".step")).to_have_count(2)
        assert complaints(page) == []
        page.screenshot(path=PICTURES / f"request-{name}.png")
