"""Alerts arrive in the shape their receiver understands, at a real server, and harm nobody."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from llm_proxy.domain.secret import Secret
from llm_proxy.telemetry import webhook
from llm_proxy.telemetry.alert import Alert
from llm_proxy.telemetry.webhook import Webhook, WebhookError, format_of, post

ALERT = Alert("key_refused", "upstream-1/key-1", False, 5, "LLM Proxy: it is refused\n中文")
OVER = Alert("key_refused", "upstream-1/key-1", True, 6, "LLM Proxy: it is well")
TOKEN = "hook-token-canary-0123456789"


class Receiver:
    """A webhook's server.

    Attributes:
        bodies: What it got.
        status: What it answers with.
        answer: The body of its answers.
        url: Its address, with a secret in it.
    """

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.status = 200
        self.answer = b'{"code":0}'
        self.headers: list[tuple[str, str]] = []
        self.got = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bodies.append(json.loads(body))
                receiver.paths.append(self.path)
                self.send_response(receiver.status)
                for name, value in receiver.headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)
                receiver.got.release()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{TOKEN}?chat_id=-100"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


TEXT = "⚠️ " + ALERT.text


@pytest.mark.parametrize(
    ("format_", "body"),
    [
        (
            "json",
            {
                "source": "llm-proxy",
                "event": "key_refused",
                "state": "firing",
                "subject": "upstream-1/key-1",
                "at_ms": 5,
                "text": ALERT.text,
            },
        ),
        ("feishu", {"msg_type": "text", "content": {"text": TEXT}}),
        ("dingtalk", {"msgtype": "text", "text": {"content": TEXT}}),
        ("wecom", {"msgtype": "text", "text": {"content": TEXT}}),
        ("telegram", {"chat_id": "-100", "text": TEXT}),
        ("slack", {"text": TEXT}),
    ],
)
def test_each_receiver_gets_its_shape(
    format_: str, body: dict[str, Any], receiver: Receiver
) -> None:
    post(receiver.url, format_, ALERT)
    assert receiver.bodies == [body]
    assert receiver.paths == [f"/{TOKEN}?chat_id=-100"]


def test_an_end_is_told_as_one(receiver: Receiver) -> None:
    post(receiver.url, "json", OVER)
    post(receiver.url, "slack", OVER)
    assert receiver.bodies[0]["state"] == "resolved"
    assert receiver.bodies[1]["text"].startswith("✅")


@pytest.mark.parametrize(
    ("url", "format_"),
    [
        ("https://open.feishu.cn/open-apis/bot/v2/hook/x", "feishu"),
        ("https://oapi.dingtalk.com/robot/send?access_token=x", "dingtalk"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x", "wecom"),
        ("https://api.telegram.org/bot1:x/sendMessage?chat_id=1", "telegram"),
        ("https://hooks.slack.com/services/x", "slack"),
        ("https://alerts.example/hook", "json"),
    ],
)
def test_the_shape_goes_by_the_host_unless_it_is_said(url: str, format_: str) -> None:
    assert format_of(url, "auto") == format_
    assert format_of(url, "slack") == "slack"


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (500, b"", "it answered 500"),
        (404, b"{}", "it answered 404"),
        (200, b'{"errcode":310000,"errmsg":"keywords not in content"}', "code 310000"),
        (200, b'{"code":19021,"msg":"sign match fail"}', "code 19021"),
        (200, b'{"ok":false}', "refused"),
    ],
)
def test_a_receiver_that_says_no_is_believed(
    status: int, answer: bytes, words: str, receiver: Receiver
) -> None:
    receiver.status, receiver.answer = status, answer
    with pytest.raises(WebhookError, match=words):
        post(receiver.url, "json", ALERT)


@pytest.mark.parametrize("answer", [b"ok", b"", b"\xff", b"[]", b'{"errcode":"x"}'])
def test_any_other_answer_with_200_is_a_yes(answer: bytes, receiver: Receiver) -> None:
    receiver.answer = answer
    post(receiver.url, "slack", ALERT)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, [("location", "/elsewhere")]
    with pytest.raises(WebhookError, match="302"):
        post(receiver.url, "json", ALERT)
    assert len(receiver.bodies) == 1


def test_alerts_are_sent_by_a_thread_and_tried_again(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        receiver.status = 200

    hook = Webhook(pause=pause)
    with caplog.at_level(logging.WARNING):
        hook.send(Secret(receiver.url), "auto", ALERT)
        assert receiver.got.acquire(timeout=10)
        assert receiver.got.acquire(timeout=10)
    assert len(paused) == 1
    assert "it answered 503" in caplog.text
    assert TOKEN not in caplog.text
    assert hook.dropped == 0


def test_a_receiver_that_is_not_there_costs_alerts_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = threading.Semaphore(0)
    hook = Webhook(pause=lambda _: tried.release())
    with caplog.at_level(logging.WARNING):
        hook.send(Secret(f"http://127.0.0.1:1/{TOKEN}"), "auto", ALERT)
        assert tried.acquire(timeout=10)
        assert tried.acquire(timeout=10)
        hook._queue.join()
    assert hook.dropped == 1
    assert "cannot be reached" in caplog.text
    assert TOKEN not in caplog.text


def test_an_hour_has_so_many_alerts_and_no_more(receiver: Receiver) -> None:
    clock = [0.0]
    hook = Webhook(clock=lambda: clock[0])
    for _ in range(webhook.PER_HOUR + 5):
        hook.send(Secret(receiver.url), "json", ALERT)
        hook._queue.join()
    assert len(receiver.bodies) == webhook.PER_HOUR
    assert hook.dropped == 5
    clock[0] = 3600.0
    hook.send(Secret(receiver.url), "json", ALERT)
    hook._queue.join()
    assert len(receiver.bodies) == webhook.PER_HOUR + 1
