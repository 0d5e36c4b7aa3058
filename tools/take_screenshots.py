"""Take docs/images/page-light.png and page-dark.png: the page beside `llm-proxy demo`, with traffic.

Needs the built page (`tools/build_page.py`) and Debian's chromium.
"""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs" / "images"
KEY = "sk-demo-page-0123456789"
LIMIT_BYTES = 200_000
QUESTIONS = (
    *[("gpt-5-mini", True)] * 12,
    ("demo-400", False),
    *[("claude-sonnet-5", True)] * 8,
    ("demo-cut", True),
    *[("gpt-5-mini", True), ("claude-sonnet-5", False)] * 8,
    *[("gpt-5-mini", True)] * 4,
)


@contextlib.contextmanager
def demo() -> Iterator[int]:
    """Run the demo on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="llm-proxy-") as folder:
        environment = {
            **os.environ,
            "MY_ACCESS_KEY": f"phone:{KEY}",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATA_DIR": f"{folder}/data",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "llm_proxy", "demo"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def wait_for(port: int) -> None:
    """Wait until the proxy answers."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/health") == 200:
                return
        time.sleep(0.05)
    raise SystemExit("the demo does not answer")


def ask(port: int, method: str, path: str, body: object = None) -> int:
    """Ask and read the answer to its end, however it ends."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"authorization": f"Bearer {KEY}", "user-agent": "claude-cli/2.1"}
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        with contextlib.suppress(http.client.IncompleteRead):
            answer.read()
        return answer.status


async def traffic(port: int) -> None:
    """Ask a few at a time, as people do."""
    few = asyncio.Semaphore(2)

    async def one(model: str, stream: bool) -> None:
        messages = [{"role": "user", "content": "How do retries work?"}]
        body = {"model": model, "stream": stream, "messages": messages, "max_tokens": 500}
        if stream:
            body["stream_options"] = {"include_usage": True}
        async with few:
            await asyncio.to_thread(ask, port, "POST", "/v1/chat/completions", body)

    await asyncio.gather(*(one(*question) for question in QUESTIONS))


def main() -> int:
    """Take both pictures."""
    DOCS.mkdir(parents=True, exist_ok=True)
    with demo() as port:
        asyncio.run(traffic(port))
        take(port)
    return 0


def take(port: int) -> None:
    """Open the page in both looks."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            context = browser.new_context(
                locale="en-US",
                color_scheme=scheme,
                viewport={"width": 1280, "height": 1790},
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator("#access-key").fill(KEY)
            page.keyboard.press("Enter")
            page.locator("tr.request").first.wait_for()
            page.get_by_text("15 min", exact=True).click()
            page.wait_for_timeout(2500)
            path = DOCS / f"page-{scheme}.png"
            page.screenshot(path=path)
            size = path.stat().st_size
            print(f"{path}: {size} bytes")
            if size > LIMIT_BYTES:
                print("too large for a README", file=sys.stderr)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
