"""A newcomer watches the real proxy deal with a provider that misbehaves."""

import asyncio
import contextlib
import csv
import json
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.answers import chat_stream, error, healthy
from tests.support.provider import ProviderThread, Request
from tests.support.proxy_process import ProxyProcess
from tests.support.scripts import Script, wait

from .visitor import settled, sign_in, tab

LIMITED_KEY = "sk-upstream-limited-0123456789-lim1"
HEALTHY_KEY = "sk-upstream-healthy-0123456789-ok22"
WORDS = "Rate limit reached for requests per min. Please try again in 95s."


CONFIG = """
[[upstream]]
name = "limited"
url = "{}"
keys = ["{}"]

[[upstream]]
name = "good"
url = "{}"
keys = ["{}"]
priority = 1
"""


class World:
    """A proxy whose first upstream limits everything, and the people around it."""

    def __init__(self, proxy: ProxyProcess, limited: ProviderThread, good: ProviderThread) -> None:
        self.address = proxy.url + "/"
        self.key = proxy.access_key
        self.limited = limited
        self.good = good
        self.may_end = asyncio.Event()

    def ask(self, model: str = "test-model", **fields: Any) -> str:
        """Send a request as a client does and return the id of its record."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]} | fields
        request = urllib.request.Request(
            self.address + "v1/chat/completions",
            json.dumps(body).encode(),
            {"authorization": f"Bearer {self.key}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return str(answer.headers["x-llm-proxy-request-id"])

    def answer(self, request: Request) -> Script:
        """Answer as the good provider; `slow-model` begins and then waits for the test."""
        asked = json.loads(request.body or b"{}")
        if asked.get("model") == "slow-model":
            first, *rest = chat_stream("one two three")
            return [first, *rest[:2], wait(self.may_end), *rest[2:]]
        model = str(asked.get("model", "test-model"))
        return healthy(request.path, stream=bool(asked.get("stream")), model=model)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("watching")
    with ProviderThread() as limited, ProviderThread() as good:
        limited.reply(lambda _: error(429, "chat", message=WORDS, headers=[("retry-after", "95")]))
        config = directory / "llm-proxy.toml"
        config.write_text(CONFIG.format(limited.url, LIMITED_KEY, good.url, HEALTHY_KEY))
        with ProxyProcess(directory) as proxy:
            world = World(proxy, limited, good)
            good.reply(world.answer)
            yield world


@pytest.fixture(scope="module")
def rescued(world: World) -> str:
    """The first request, which the first upstream limits; its record's id."""
    return world.ask("first-model")


def rows(page: Page) -> Any:
    return page.locator("tr.request")


def test_a_rescued_request_shows_up_live_with_the_key_that_failed_why_and_until_when(
    browser: Browser, world: World
) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        settled(page)
        model = "watched-model"
        world.ask(model)
        row = rows(page).filter(has_text=model)
        expect(row).to_contain_text("Rescued")
        expect(row).to_contain_text("good key-1")
        key = page.locator(".key").filter(has_text="…lim1")
        expect(key).to_contain_text(model)
        expect(key.locator(".limited-model").filter(has_text=model)).to_contain_text("01:")
        row.get_by_role("button").click()
        first, second = page.locator(".step").nth(0), page.locator(".step").nth(1)
        expect(first).to_contain_text("rate limited · HTTP 429")
        expect(first).to_contain_text(WORDS)
        expect(first).to_contain_text("rests for 1 m 35 s")
        expect(second).to_contain_text("answered · HTTP 200")
        expect(first.locator(".time-bar .phase-failed")).not_to_have_count(0)
        expect(page.locator(".times")).to_contain_text("Proxy's own time")


def test_a_test_call_ends_in_how_fast_and_through_which_key(browser: Browser, world: World) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        settled(page)
        card = page.locator("details.connect")
        if card.get_attribute("open") is None:
            card.locator("summary").click()
        card.get_by_label("Model", exact=True).fill("hello-model")
        card.get_by_role("button", name="Send a test call").click()
        expect(card.locator(".verdict")).to_contain_text("via good key-1 …ok22")
        expect(card.locator(".answer-text")).not_to_be_empty()
        card.get_by_role("button", name="See what happened").click()
        expect(page.get_by_role("dialog")).to_contain_text("hello-model")


def test_a_key_can_be_tried_in_the_playground_and_its_refusal_is_explained(
    browser: Browser, world: World
) -> None:
    with tab(browser, world.address, locale="zh-CN") as page:
        sign_in(page, world.key)
        panel = page.locator("details.folded").filter(has_text="试一试")
        panel.locator("summary").click()
        # A model that nobody asked for yet: for others the key may rest, and is not asked again.
        panel.get_by_label("模型").fill("played-model")
        panel.get_by_label("经由").select_option("limited/key-1")
        panel.get_by_role("button", name="发送").click()
        expect(panel.locator(".verdict")).to_contain_text("触发限流")
        expect(panel.locator("blockquote").first).to_contain_text("密钥触发限流")
        expect(panel.locator(".time-bar")).not_to_have_count(0)


def test_requests_are_found_by_words_and_values_kept_in_the_address_and_exported(
    browser: Browser, world: World, rescued: str
) -> None:
    world.ask("needle-model")
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        settled(page)
        page.get_by_label("Search requests").fill("NEEDLE")
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("needle-model")
        page.reload()
        expect(page.get_by_label("Search requests")).to_have_value("NEEDLE")
        expect(rows(page)).to_have_count(1)
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        with download.value.path().open(newline="") as file:
            (line,) = csv.DictReader(file)
        assert line["model"] == "needle-model"
        page.get_by_role("button", name="Clear filters").click()
        page.get_by_role("button", name="More filters").click()
        page.locator(".filter-bar").get_by_label("Model").select_option("first-model")
        expect(rows(page)).to_have_count(1)
        rows(page).first.get_by_role("button").click()
        assert f"request={rescued}" in page.url
        page.get_by_role("button", name="Other requests that met this").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert "fault=rate_limited" in page.url


def test_a_request_under_way_is_seen_and_can_be_ended(browser: Browser, world: World) -> None:
    world.may_end.clear()

    def ask() -> None:
        with contextlib.suppress(OSError):  # cut, as the page asked for
            world.ask("slow-model", stream=True)

    client = threading.Thread(target=ask)
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        settled(page)
        client.start()
        flight = page.locator(".flight").filter(has_text="slow-model")
        expect(flight).to_contain_text("answering")
        expect(flight).to_contain_text("good key-1")
        flight.get_by_role("button", name="Cancel").click()
        expect(flight).to_have_count(0)
        expect(rows(page).filter(has_text="slow-model")).to_have_count(1)
    world.good.set(world.may_end)
    client.join(10)
    assert not client.is_alive()


def test_a_key_is_paused_and_resumed_from_the_page(browser: Browser, world: World) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        key = page.locator(".key").filter(has_text="…lim1")
        key.get_by_role("button", name="Pause").click()
        expect(key.locator(".key-state")).to_contain_text("Paused")
        expect(page.get_by_role("heading", level=1)).to_contain_text("1 of 2 keys resting")
        key.get_by_role("button", name="Resume").click()
        expect(key.locator(".key-state")).not_to_contain_text("Paused")
        key.get_by_role("button", name="Test").click()
        expect(key.locator(".key-result .verdict")).to_be_visible()


def test_errors_are_grouped_by_cause_and_lead_to_their_requests(
    browser: Browser, world: World, rescued: str
) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        panel = page.locator("details.folded").filter(has_text="Errors by cause")
        panel.locator("summary").click()
        group = panel.locator(".error-group").filter(has_text="rate limited")
        expect(group).to_contain_text("limited key-1 …lim1")
        expect(group).to_contain_text("rescued")
        group.get_by_role("button", name="Show requests").click()
        expect(page.get_by_role("button", name="No longer filter by cause")).to_be_visible()
        expect(rows(page).filter(has_text="first-model")).to_have_count(1)


def test_settings_say_where_they_come_from_and_hide_secrets(browser: Browser, world: World) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        panel = page.locator("details.folded").filter(has_text="Settings")
        panel.locator("summary").click()
        row = panel.locator("tr").filter(has_text="MY_ACCESS_KEY")
        expect(row).to_contain_text("environment")
        expect(panel.locator("pre")).to_contain_text("…lim1")
        assert LIMITED_KEY not in page.content()
        assert world.key not in page.content()


def test_bodies_are_kept_only_while_a_banner_says_so(browser: Browser, world: World) -> None:
    with tab(browser, world.address) as page:
        sign_in(page, world.key)
        panel = page.locator("details.folded").filter(has_text="Settings")
        panel.locator("summary").click()
        panel.get_by_role("button", name="Keep bodies for 15 minutes").click()
        banner = page.locator(".banner")
        expect(banner).to_contain_text("are being kept")
        request_id = world.ask(
            "kept-model", messages=[{"role": "user", "content": "a <b>wish</b>"}]
        )
        page.goto(f"{world.address}?request={request_id}")
        expect(page.get_by_role("dialog").locator(".body").first).to_contain_text("a <b>wish</b>")
        page.get_by_role("button", name="Close").click()
        banner.get_by_role("button", name="End it now").click()
        expect(banner).to_have_count(0)


def test_two_tabs_share_one_event_stream_and_both_are_live(browser: Browser, world: World) -> None:
    with tab(browser, world.address) as first:
        sign_in(first, world.key)
        settled(first)
        second = first.context.new_page()
        streams: list[str] = []
        second.on(
            "request", lambda sent: streams.append(sent.url) if "events" in sent.url else None
        )
        second.goto(world.address)
        settled(second)
        world.ask("shared-model")
        for page in (first, second):
            expect(rows(page).filter(has_text="shared-model")).to_have_count(1)
        assert streams == []
        first.close()  # the other one takes over
        world.ask("alone-model")
        expect(rows(second).filter(has_text="alone-model")).to_have_count(1)


def test_the_page_works_below_a_path_and_without_an_event_stream(
    browser: Browser, world: World, rescued: str
) -> None:
    below = world.address + "some/where/"

    def forward(route: Route) -> None:
        address = route.request.url.replace(below, world.address)
        if address.endswith("api/events"):
            route.abort()
        else:
            route.fulfill(response=route.fetch(url=address))

    with browser.new_context(locale="en-US") as visitor:
        visitor.route(below + "**", forward)
        page = visitor.new_page()
        page.goto(below)
        sign_in(page, world.key)
        expect(page.locator(".link")).to_have_text("every 5 s")
        expect(rows(page).first).to_be_visible()
        expect(page.locator("details.connect summary")).to_contain_text(f"{below}v1")
        # What is still being forwarded when the tab closes would fail in the next test.
        visitor.unroute_all(behavior="ignoreErrors")
