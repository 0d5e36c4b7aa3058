"""Sends alerts to one webhook, in the shape its receiver understands, without holding up anybody.

A bounded queue and one thread, started with the first alert. Trouble is logged and the alert tried
again twice; a receiver that stays away loses alerts, never requests. The address is a secret, as
it lets anyone write there: no line and no error names more of it than its host.
"""

import logging
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import msgspec

from llm_proxy.domain.secret import Secret

from .alert import Alert

FORMATS = ("auto", "json", "feishu", "dingtalk", "wecom", "telegram", "slack")
QUEUE_ALERTS = 100
PER_HOUR = 60
"""More in an hour than anybody reads; the rest is counted in a line of the log."""

_TIMEOUT_S = 10.0
_TRIES = 3
_PAUSE_S = 5.0
_MAX_ANSWER = 64 * 1024
_HOSTS = {
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "feishu",
    "oapi.dingtalk.com": "dingtalk",
    "qyapi.weixin.qq.com": "wecom",
    "api.telegram.org": "telegram",
    "hooks.slack.com": "slack",
}
_log = logging.getLogger("llm_proxy.alerts")


class WebhookError(Exception):
    """The receiver did not take it. The text holds no address."""


def format_of(url: str, asked: str) -> str:
    """Return the shape to send: the one asked for or, with `auto`, the receiver's by its host."""
    return _HOSTS.get(urlsplit(url).hostname or "", "json") if asked == "auto" else asked


def body_of(format_: str, url: str, alert: Alert) -> bytes:
    """Return what is posted."""
    text = ("✅ " if alert.is_over else "⚠️ ") + alert.text
    match format_:
        case "feishu":
            value: object = {"msg_type": "text", "content": {"text": text}}
        case "dingtalk" | "wecom":
            value = {"msgtype": "text", "text": {"content": text}}
        case "telegram":
            chat = parse_qs(urlsplit(url).query).get("chat_id", [""])[0]
            value = {"chat_id": chat, "text": text}
        case "slack":
            value = {"text": text}
        case _:
            value = {
                "source": "llm-proxy",
                "event": alert.event,
                "state": "resolved" if alert.is_over else "firing",
                "subject": alert.subject,
                "at_ms": alert.at_ms,
                "text": alert.text,
            }
    return msgspec.json.encode(value)


def post(url: str, format_: str, alert: Alert, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Send one alert; blocks.

    Raises:
        WebhookError: It was not taken.
    """
    request = urllib.request.Request(  # noqa: S310 - the configuration allows http and https only
        url,
        data=body_of(format_, url, alert),
        headers={"content-type": "application/json", "user-agent": "llm-proxy"},
    )
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            _check(answer.read(_MAX_ANSWER))
    except urllib.error.HTTPError as error:
        error.close()
        raise WebhookError(f"it answered {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise WebhookError(f"it cannot be reached ({type(reason).__name__})") from None


def _check(answer: bytes) -> None:
    """Refuse an answer that says no with status 200, as chat programs do.

    Raises:
        WebhookError: It says no.
    """
    try:
        said = msgspec.json.decode(answer, type=_Said)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # no JSON of that shape: the status said it all
    code = said.errcode or said.code
    if code or not said.ok:
        raise WebhookError(f"it refused the message (code {code})")


class _Said(msgspec.Struct):
    """What Feishu, DingTalk, WeCom and Telegram answer."""

    errcode: int = 0
    code: int = 0
    ok: bool = True


class _Staying(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the alert is for the configured address."""

    def redirect_request(self, *_: object) -> None:
        """Refuse."""


_OPENER = urllib.request.build_opener(_Staying)


class Webhook:
    """The queue and its thread.

    Args:
        clock: Monotonic seconds.
        pause: Waits so many seconds between tries.

    Attributes:
        dropped: Alerts that were left out or lost.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.dropped = 0
        self._clock = clock
        self._pause = pause
        self._queue: queue.Queue[tuple[Secret, str, Alert]] = queue.Queue(QUEUE_ALERTS)
        self._thread: threading.Thread | None = None
        self._sent_at: list[float] = []

    def send(self, url: Secret, format_: str, alert: Alert) -> None:
        """Queue an alert; never blocks, never fails."""
        now = self._clock()
        self._sent_at = [at for at in self._sent_at if now - at < 3600.0]
        if len(self._sent_at) >= PER_HOUR:
            self._lose("there were too many in the last hour")
            return
        self._sent_at.append(now)
        try:
            self._queue.put_nowait((url, format_, alert))
        except queue.Full:
            self._lose("too many are waiting for the webhook")
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._deliver(*self._queue.get())
            self._queue.task_done()

    def _deliver(self, url: Secret, format_: str, alert: Alert) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                post(url.reveal(), format_of(url.reveal(), format_), alert)
            except WebhookError as error:
                _log.warning("an alert was not delivered: the webhook failed: %s", error)
            except Exception as error:  # noqa: BLE001 - keeps later alerts coming after a bug
                _log.error(
                    "an alert was lost: %s", type(error).__name__
                )  # no text: it may hold the address
                break
            else:
                return
            if attempt < _TRIES:
                self._pause(_PAUSE_S * attempt)
        self._lose("the webhook did not take it")

    def _lose(self, why: str) -> None:
        self.dropped += 1
        _log.warning("an alert was left out: %s", why)
