"""Somebody who opens the page in a tab of their own and does what people do there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

# A machine that is busy with other tests takes its time; what never comes fails all the same.
expect.set_options(timeout=15_000)


@contextmanager
def tab(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    """Open the page in a fresh profile.

    Leaving it fails when a script failed, the browser refused something by policy, or anything
    was asked for elsewhere.
    """
    complaints: list[str] = []
    with browser.new_context(**({"locale": "en-US"} | context)) as visitor:
        visitor.set_default_timeout(15_000)
        page = visitor.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if "Security Policy" in said.text else None,
        )
        page.on(
            "request",
            lambda sent: (
                None
                if sent.url.startswith((address, "data:", "blob:"))
                else complaints.append(f"asked elsewhere: {sent.url}")
            ),
        )
        page.goto(address)
        yield page
    assert complaints == []


def sign_in(page: Page, key: str) -> None:
    """Sign in with an access key."""
    page.locator("#access-key").fill(key)
    page.keyboard.press("Enter")


def settled(page: Page) -> None:
    """Wait until every panel has its first answer: from then on nothing moves by itself."""
    expect(page.locator("tr.request, td.empty").first).to_be_visible()
    expect(page.locator(".numbers-wait")).to_have_count(0)
    expect(page.locator("td.empty", has_text="Loading")).to_have_count(0)


def unfold(page: Page) -> None:
    """Open all that is folded, and from now on also what comes with a later answer."""
    page.evaluate(
        """() => {
            const folded = "details:not([open]) > summary";
            const open = () => document.querySelectorAll(folded).forEach((one) => one.click());
            new MutationObserver(open).observe(document.body, { childList: true, subtree: true });
            open();
        }"""
    )
