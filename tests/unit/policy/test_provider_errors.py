"""Real providers' errors, from their bytes to what they are and how long they ask to wait."""

import pytest

from llm_proxy.domain.faults import Mark
from llm_proxy.domain.signal import Signal
from llm_proxy.formats import format_named
from llm_proxy.formats.signal import read_signal
from llm_proxy.policy.classify import classify
from llm_proxy.policy.limits_seen import advice
from llm_proxy.wire.sse import EventSplitter

from .provider_errors import ERRORS, WALL_S, Seen


def signal_in(seen: Seen) -> Signal | None:
    """Read an error as an attempt does: by its status, or out of a good-looking answer."""
    if seen.status >= 400:
        return read_signal(seen.status, b"", seen.raw)
    asked = format_named(seen.format)
    if not seen.raw.startswith((b"event:", b"data:", b":")):
        return asked.read_answer(seen.raw).signal
    watch = asked.watch()
    for event in EventSplitter(1 << 20).feed(seen.raw):
        watch.read(event)
    assert not watch.has_content
    return watch.signal


@pytest.mark.parametrize("seen", ERRORS, ids=[seen.name for seen in ERRORS])
def test_a_providers_error_is_judged_as_what_it_is(seen: Seen) -> None:
    signal = signal_in(seen)
    assert signal is not None
    assert (classify(signal).name, signal.message) == (seen.fault.name, signal.message)
    headers = {name.encode(): value.encode() for name, value in seen.headers.items()}
    found = advice(headers, signal, wall_s=WALL_S)
    if seen.advice is None:
        assert found is None
    else:
        assert found is not None
        assert found.source == seen.advice.source
        assert found.wait_s == pytest.approx(seen.advice.wait_s)


CONDEMNING = [
    "Your credit balance is too low",
    "You have reached your specified API usage limits",
    "insufficient balance",
    "your account balance is insufficient",
    "monthly spending limit",
    "Key limit exceeded",
    "You have run out of credits",
    "doesn't have any credits",
    "余额不足",
    "API key not valid",
    "Incorrect API key provided",
]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("text", CONDEMNING)
def test_no_client_can_rest_a_shared_key_by_what_it_asks(text: str, status: int) -> None:
    for message in (f"Invalid value: {text}", f"unknown tool '{text}'", f"`{text}` is no field"):
        fault = classify(Signal(status, "invalid_request_error", message=message))
        assert fault.mark not in (Mark.QUOTA, Mark.AUTH)


def test_every_error_of_the_corpus_has_its_own_name() -> None:
    assert len({seen.name for seen in ERRORS}) == len(ERRORS)
