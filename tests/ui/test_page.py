import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from llm_proxy.dashboard.assets import STATIC
from llm_proxy.domain.record import Attempt, Outcome
from tests.support.page_server import KEY, PageServer, page_server

from . import visitor
from .visitor import settled, tab

MAX_GZIP_BYTES = 120_000
MIN_TARGET_PX = 44

LIMITED = Attempt(
    "upstream-1",
    "key-1 …ab12",
    status=429,
    fault="rate_limited",
    reason="Rate limit reached: try again in 20s.",
    why="healthy",
    first_byte_ms=180,
    total_ms=190,
    cool_s=20,
    cost="none",
)
ANSWERED = Attempt(
    "upstream-2",
    "key-1 …77fe",
    status=200,
    why="last resort",
    start_ms=200,
    first_byte_ms=400,
    total_ms=610,
)


@pytest.fixture
def server() -> Iterator[PageServer]:
    with page_server() as server:
        yield server


def opened(browser: Browser, server: PageServer, **context: Any) -> AbstractContextManager[Page]:
    """Open the page of that server in a tab of its own."""
    return tab(browser, server.address, **context)


def sign_in(page: Page, key: str = KEY) -> None:
    visitor.sign_in(page, key)


def rows(page: Page) -> Any:
    return page.locator("tr.request")


def test_strangers_see_totals_and_a_way_in_but_no_request(
    browser: Browser, server: PageServer
) -> None:
    server.finish(model="secret-model")
    with opened(browser, server) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Working")
        expect(page.locator(".tile").first).to_contain_text("1")
        expect(page.locator("#access-key")).to_be_visible()
        expect(page.get_by_text("upstream-1")).to_have_count(0)
        expect(page.get_by_text("secret-model")).to_have_count(0)


def test_a_private_page_shows_strangers_nothing_but_the_way_in(browser: Browser) -> None:
    with page_server("private") as server, opened(browser, server) as page:
        expect(page.locator("#access-key")).to_be_visible()
        expect(page.locator(".tile")).to_have_count(0)
        sign_in(page)
        expect(page.get_by_role("heading", name="Requests")).to_be_visible()


def test_a_wrong_key_is_called_wrong_and_the_right_one_then_works(
    browser: Browser, server: PageServer
) -> None:
    with opened(browser, server) as page:
        sign_in(page, "sk-not-this-one")
        expect(page.get_by_role("alert")).to_have_text("This is not one of the access keys.")
        sign_in(page)
        expect(page.get_by_role("heading", name="Requests")).to_be_visible()


def test_the_session_outlives_a_reload_and_ends_with_signing_out(
    browser: Browser, server: PageServer
) -> None:
    server.finish()
    with opened(browser, server) as page:
        sign_in(page)
        expect(rows(page)).to_have_count(1)
        page.reload()
        expect(rows(page)).to_have_count(1)
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("#access-key")).to_be_visible()
        expect(rows(page)).to_have_count(0)
        assert KEY not in str(page.context.storage_state())


def test_the_list_is_there_at_once_for_somebody_who_signs_in_at_once(
    browser: Browser, server: PageServer
) -> None:
    server.finish()
    asked: list[str] = []
    with opened(browser, server) as page:
        page.on("request", lambda sent: asked.append(sent.url.rpartition("/api/")[2]))
        sign_in(page)
        expect(rows(page)).to_have_count(1)
        # What is in flight is asked for once a second: the list did not wait for the second time.
        assert asked[: asked.index("requests?limit=50")].count("in-flight") <= 1


def test_a_finished_request_shows_up_by_itself(browser: Browser, server: PageServer) -> None:
    with opened(browser, server) as page:
        sign_in(page)
        expect(page.get_by_text("No request yet.")).to_be_visible()
        server.finish(model="fresh-model")
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("fresh-model")
        expect(page.locator(".tile").first).to_contain_text("1")


def test_rows_hold_still_under_the_pointer_and_new_ones_wait_behind_a_pill(
    browser: Browser, server: PageServer
) -> None:
    server.finish(model="old-model")
    with opened(browser, server) as page:
        sign_in(page)
        expect(rows(page)).to_have_count(1)
        settled(page)
        rows(page).first.hover()
        server.finish(model="new-model")
        pill = page.get_by_role("button", name="1 new")
        expect(pill).to_be_visible()
        expect(rows(page)).to_have_count(1)
        pill.click()
        expect(rows(page)).to_have_count(2)
        expect(rows(page).first).to_contain_text("new-model")


def test_a_row_opens_by_keyboard_and_tells_attempt_by_attempt_what_happened(
    browser: Browser, server: PageServer
) -> None:
    server.finish(attempts=[LIMITED, ANSWERED], served="gpt-5-mini", upstream="upstream-2")
    with opened(browser, server) as page:
        sign_in(page)
        opener = rows(page).first.get_by_role("button")
        opener.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        first, second = page.locator(".step").nth(0), page.locator(".step").nth(1)
        expect(first).to_contain_text("rate limited · HTTP 429")
        expect(first).to_contain_text("Rate limit reached: try again in 20s.")
        expect(second).to_contain_text("then chosen because nothing better was left")
        expect(rows(page).first).to_contain_text("Rescued")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(opener).to_be_focused()


def test_an_open_request_has_a_link_that_opens_it_anywhere_and_back_closes_it(
    browser: Browser, server: PageServer
) -> None:
    server.finish(model="first")
    record = server.finish(model="second", attempts=[LIMITED, ANSWERED])
    with opened(browser, server) as page:
        sign_in(page)
        rows(page).nth(1).get_by_role("button").click()
        drawer = page.get_by_role("dialog")
        expect(drawer.get_by_role("heading", level=2)).to_contain_text("first")
        drawer.get_by_role("button", name="Newer request").click()
        expect(drawer.get_by_role("heading", level=2)).to_contain_text("second")
        assert f"request={record.id}" in page.url
        page.go_back()
        expect(drawer).to_have_count(0)
        page.goto(f"{server.address}?model=first&request={record.id}")
        expect(drawer.get_by_role("heading", level=2)).to_contain_text("second")
        page.goto(f"{server.address}?request=01KNOBODY")
        expect(drawer).to_contain_text("There is no such request")
        drawer.get_by_role("button", name="Close").click()
        expect(drawer).to_have_count(0)


def test_the_letter_p_holds_the_list_until_it_is_pressed_again(
    browser: Browser, server: PageServer
) -> None:
    server.finish()
    with opened(browser, server) as page:
        sign_in(page)
        expect(rows(page)).to_have_count(1)
        page.locator("body").press("p")
        expect(page.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
        server.finish()
        expect(page.get_by_role("button", name="1 new")).to_be_visible()
        expect(rows(page)).to_have_count(1)
        page.locator("body").press("p")
        expect(rows(page)).to_have_count(2)


def test_filters_show_failed_or_rescued_requests_and_are_kept_in_the_address(
    browser: Browser, server: PageServer
) -> None:
    server.finish(model="fine")
    server.finish(model="saved", attempts=[LIMITED, ANSWERED])
    server.finish(model="lost", outcome=Outcome.RATE_LIMITED, status=429, attempts=[LIMITED])
    with opened(browser, server) as page:
        sign_in(page)
        expect(rows(page)).to_have_count(3)
        page.get_by_role("button", name="Rescued", exact=True).click()
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("saved")
        page.get_by_role("button", name="Failed", exact=True).click()
        page.reload()
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("lost")


def test_a_cooling_key_says_until_when_and_why(browser: Browser, server: PageServer) -> None:
    server.rest(state="cooling", back_in_s=95.0, cause="rate_limited", source="guess")
    with opened(browser, server) as page:
        sign_in(page)
        key = page.locator(".key")
        expect(key).to_contain_text("Cooling down")
        expect(key).to_contain_text(re.compile(r"back in ~01:3\d"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("The only key is resting")


def test_markup_from_strangers_stays_text(browser: Browser, server: PageServer) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    attempt = Attempt("upstream-1", evil, status=400, fault="client_fault", reason=evil)
    server.finish(model=evil, client=evil, error=evil, attempts=[attempt])
    with opened(browser, server) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        sign_in(page)
        rows(page).first.get_by_role("button").click()
        expect(page.locator("blockquote")).to_contain_text(evil)
        expect(page.locator("#page img, #page script, #page b")).to_have_count(0)


def test_a_proxy_that_dies_is_called_unreachable_and_the_page_recovers_with_it(
    browser: Browser, server: PageServer
) -> None:
    server.finish()
    with opened(browser, server) as page:
        sign_in(page)
        expect(rows(page)).to_have_count(1)
        server.vanish()
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text("The proxy cannot be reached")
        expect(rows(page)).to_have_count(1)  # the last snapshot stays
        server.come_back()
        server.finish(model="after-the-outage")
        expect(rows(page)).to_have_count(2)
        expect(title).to_have_text("Working")


def test_language_and_theme_follow_the_browser_until_chosen_and_are_remembered(
    browser: Browser, server: PageServer
) -> None:
    with opened(browser, server, locale="zh-CN", color_scheme="dark") as page:
        root = page.locator("html")
        expect(page.get_by_role("heading", level=1)).to_have_text("运行正常")
        expect(root).to_have_attribute("lang", "zh-CN")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="English").click()
        page.get_by_role("button", name="Switch theme").click()
        expect(root).to_have_attribute("data-theme", "light")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Working")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_everything_fits_and_can_be_hit(
    browser: Browser, server: PageServer, locale: str, width: int
) -> None:
    long = "provider/a-model-name-that-goes-on-and-on-without-any-place-to-break-it-0123456789"
    server.finish(model=long, served=long, error=long, attempts=[LIMITED, ANSWERED])
    server.rest(state="cooling", back_in_s=95.0, cause="rate_limited", models={long: 95.0})
    context = {
        "locale": locale,
        "viewport": {"width": width, "height": 800},
        "reduced_motion": "reduce",
    }
    with opened(browser, server, **context) as page:
        sign_in(page)
        rows(page).first.get_by_role("button").click()
        expect(page.locator(".step")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        small = page.evaluate(
            """least => [...document.querySelectorAll("button, summary, input, tr.request")]
                .filter(one => !one.matches(".opener, [type=checkbox]"))  // the row, the label
                .filter(one => one.getBoundingClientRect().height < least)
                .map(one => one.outerHTML)""",
            MIN_TARGET_PX,
        )
        assert small == []


def test_copying_works_on_plain_http_where_browsers_lend_no_clipboard(
    browser: Browser, server: PageServer
) -> None:
    with opened(browser, server) as page:
        page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
        sign_in(page)
        page.reload()
        address = page.get_by_role("button", name="Copy: Address with /v1")
        address.click()
        expect(address).to_contain_text("Copied")


def test_the_page_is_small_and_loads_nothing_by_absolute_address(browser: Browser) -> None:
    packed = [path.stat().st_size for path in STATIC.rglob("*.gz")]
    assert sum(packed) <= MAX_GZIP_BYTES
    addresses = re.findall(r'(?:src|href)="([^"]+)"', (STATIC / "index.html").read_text())
    assert len(addresses) >= 3
    assert all(address.startswith("./dashboard/assets/") for address in addresses)
