"""Decides what is worth an alert: a key that needs its owner, an upstream that is down, lost records.

An alert tells of a change, once: something is wrong, or it is over. What comes back within a
while of having been told is not told again, so that something which flickers rings twice at most.
All of it is decided from snapshots of the state, with the time passed in.
"""

from collections.abc import Iterable

import msgspec

from llm_proxy.domain.status import KeyStatus, StoreStatus, UpstreamStatus

DOWN_S = 30.0
"""How long every key of an upstream must be left alone before it counts as down: breakers open for
seconds at a time in passing troubles."""
AGAIN_S = 600.0
"""How long the same subject stays quiet after an alert about it."""
LOSING_S = 60.0
"""How long after the last lost record records count as being lost."""

REFUSED, NO_CREDIT, DOWN, LOSING, TEST = (
    "key_refused", "key_no_credit", "upstream_down", "records_lost", "test",
)  # fmt: skip
_DEAD = {"refused": REFUSED, "no_credit": NO_CREDIT}


class Alert(msgspec.Struct, frozen=True):
    """One thing to tell.

    Attributes:
        event: `key_refused`, `key_no_credit`, `upstream_down`, `records_lost` or `test`.
        subject: Which key (`upstream-1/key-1`), upstream or file; no secret, no address.
        is_over: Whether it is over.
        at_ms: Wall clock.
        text: A sentence in English and one in Chinese.
    """

    event: str
    subject: str
    is_over: bool
    at_ms: int
    text: str


class _Trouble(msgspec.Struct):
    """Something that is wrong, or was a short while ago.

    Attributes:
        since: Monotonic time at which it began.
        is_on: Whether it is wrong now.
        is_told: Whether its begin was told and its end was not.
        quiet_until: Until when it is not told again.
    """

    since: float
    is_on: bool = True
    is_told: bool = False
    quiet_until: float = 0.0


class AlertWatch:
    """Compares each snapshot with what is known."""

    __slots__ = ("_dropped", "_lost_at", "_troubles")

    def __init__(self) -> None:
        self._troubles: dict[tuple[str, str], _Trouble] = {}
        self._dropped = 0
        self._lost_at = float("-inf")

    def look(
        self, upstreams: Iterable[UpstreamStatus], store: StoreStatus, *, now: float, at_ms: int
    ) -> list[Alert]:
        """Return what is to be told.

        Args:
            upstreams: Their state now.
            store: Its state now.
            now: Monotonic time, seconds.
            at_ms: Wall clock.
        """
        if store.dropped > self._dropped:
            self._dropped, self._lost_at = store.dropped, now
        upstreams = list(upstreams)
        self._forget_absent(upstreams)
        found = _wrong(upstreams)
        if now - self._lost_at < LOSING_S:
            found[LOSING, "records"] = 0.0
        for place in found:
            trouble = self._troubles.get(place)
            if trouble is None:
                trouble = self._troubles[place] = _Trouble(now)
            elif not trouble.is_on:
                trouble.is_on, trouble.since = True, now
        alerts: list[Alert] = []
        for place, trouble in list(self._troubles.items()):
            if place not in found:
                trouble.is_on = False
            if alert := _due(place, trouble, found.get(place, 0.0), now, at_ms):
                alerts.append(alert)
            if not trouble.is_on and not trouble.is_told and now >= trouble.quiet_until:
                del self._troubles[place]
        return alerts

    def _forget_absent(self, upstreams: list[UpstreamStatus]) -> None:
        """Drop what is about keys that are paused or gone: that they are well nobody can tell."""
        present = {"records", *(one.name for one in upstreams)}
        present.update(k.id for one in upstreams for k in one.keys if k.state != "paused")
        for place in [place for place in self._troubles if place[1] not in present]:
            del self._troubles[place]


def _wrong(upstreams: Iterable[UpstreamStatus]) -> dict[tuple[str, str], float]:
    """Return what is wrong now, and for how long it must be so to be told."""
    found: dict[tuple[str, str], float] = {}
    for upstream in upstreams:
        for key in upstream.keys:
            if key.state in _DEAD:
                found[_DEAD[key.state], key.id] = 0.0
        if upstream.keys and all(map(_is_open, upstream.keys)):
            found[DOWN, upstream.name] = DOWN_S
    return found


def _is_open(key: KeyStatus) -> bool:
    return key.state in ("open", "half_open")


def _due(
    place: tuple[str, str], trouble: _Trouble, patience_s: float, now: float, at_ms: int
) -> Alert | None:
    event, subject = place
    if trouble.is_on and not trouble.is_told:
        if now - trouble.since < patience_s or now < trouble.quiet_until:
            return None
        trouble.is_told, trouble.quiet_until = True, now + AGAIN_S
    elif not trouble.is_on and trouble.is_told:
        trouble.is_told = False
    else:
        return None
    is_over = not trouble.is_on
    return Alert(event, subject, is_over, at_ms, words_of(event, subject, is_over=is_over))


_WORDS = {
    (REFUSED, False): (
        "{0} is refused by its upstream. Check this key.",
        "{0} 被上游拒绝，请检查该密钥。",
    ),
    (REFUSED, True): ("{0} is accepted again.", "{0} 已恢复。"),
    (NO_CREDIT, False): (
        "{0} is out of credit. Top up its account.",
        "{0} 额度用尽，请充值。",
    ),
    (NO_CREDIT, True): ("{0} has credit again.", "{0} 额度已恢复。"),
    (DOWN, False): (
        "{0} has been failing for half a minute; requests go elsewhere where they can.",
        "{0} 已连续故障半分钟，请求会尽量转往其他上游。",
    ),
    (DOWN, True): ("{0} answers again.", "{0} 已恢复。"),
    (LOSING, False): (
        "Request records are being lost: the disk does not take them. Requests are served.",
        "请求记录正在丢失：磁盘无法写入。请求照常服务。",
    ),
    (LOSING, True): ("Request records are kept again.", "请求记录已恢复写入。"),
    (TEST, False): ("This is a test: alerts arrive here.", "这是一条测试：告警会发到这里。"),
}


def words_of(event: str, subject: str, *, is_over: bool) -> str:
    """Return the alert's text. It names the program: some receivers ask for such a keyword."""
    english, chinese = (words.format(subject) for words in _WORDS[event, is_over])
    return f"LLM Proxy: {english}\n{chinese}"
