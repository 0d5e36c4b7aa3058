"""The last word of a request that nobody answered: the most telling fault, said honestly.

What the provider said goes down byte for byte where the request itself was at fault; where the
proxy's keys or the provider's servers were, the client gets our words, in its own dialect, and
what it should do next: `Retry-After` when waiting helps, `x-should-retry: false` when it does not.
"""

from typing import TYPE_CHECKING

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.faults import (
    CANCELLED,
    CLIENT_FAULT,
    CONTENT_FILTERED,
    CONTEXT_TOO_LONG,
    MODEL_NOT_FOUND,
    OVERLOADED,
    QUOTA,
    UNKNOWN_ID,
    Answer,
    Fault,
)
from llm_proxy.domain.record import Outcome
from llm_proxy.domain.redact import BLANK
from llm_proxy.domain.signal import Signal
from llm_proxy.formats.status import status_in_stream
from llm_proxy.formats.translate.errors import told_words, translated_error
from llm_proxy.policy.chain import Course
from llm_proxy.policy.last_word import LastWord
from llm_proxy.wire.head import LAST_CHUNK, chunk

from . import answer
from .attempt import Attempt
from .translation import TranslatedCall

if TYPE_CHECKING:
    from .exchange import Exchange

ALL_LIMITED = "错误重试全都rate limit,请再次重试."
"""Clients of the first version look for these words; they must not change."""

MOST_SAID = 1000
"""Characters of a provider's words within ours."""
CLIENTS_OWN = (CLIENT_FAULT, CONTENT_FILTERED, CONTEXT_TOO_LONG, MODEL_NOT_FOUND, UNKNOWN_ID)


def answer_last_word(exchange: "Exchange", plan: Course) -> None:
    """Answer a request whose attempts are used up."""
    word = plan.last_word(exchange.core.loop.time())
    fault = word.fault
    attempt, signal, body = None, None, b""
    if word.index is not None:
        attempt, verdict = exchange.failures[word.index]
        signal, body = verdict.signal, verdict.body
    exchange.error = fault.says
    if signal is not None and signal.message:
        exchange.error = exchange.core.redact(f"{fault.says}: {signal.message}")[:500]
    if word.is_all_limited:
        exchange.outcome = Outcome.RATE_LIMITED
    elif fault in CLIENTS_OWN:
        exchange.outcome = Outcome.CLIENT_ERROR
    else:
        exchange.outcome = Outcome.UPSTREAM_ERROR
    if attempt is not None and _may_pass(fault, signal):
        exchange.answered_by = attempt
        if attempt.status >= 400 and body and not exchange.has_begun:
            _pass_verbatim(exchange, word, attempt, body, signal)
            return
    said = words_of(exchange, signal) if signal is not None else ""
    status, message = _status(exchange, fault, signal), _message(word, said[:MOST_SAID])
    code = signal.code if signal is not None and _may_pass(fault, signal) else None
    if attempt is not None and isinstance(attempt.call, TranslatedCall) and fault in CLIENTS_OWN:
        message, code = told_words(message, signal, status, exchange.visit.admission.format.name)
    _say(exchange, status, message, code or None, word)


def answer_refused(exchange: "Exchange", error: RequestError) -> None:
    """Answer a request that the proxy itself refuses."""
    exchange.error = message = exchange.core.redact(error.message)
    if exchange.has_begun:
        _say(exchange, error.status, message, error.code or None)
        return
    exchange.status = error.status
    extra = answer.retry_lines(1.0, None) if error.status == 503 else []
    exchange.client.write(
        answer.error_answer(
            exchange.visit.admission.format,
            error.status,
            message,
            exchange.stamp(),
            code=error.code or None,
            param=error.param,
            extra=extra,
            is_head=exchange.request.method == "HEAD",
        )
    )


def answer_failed(exchange: "Exchange", fault: Fault | None) -> None:
    """Answer, as far as that is still possible, a request that ends for a reason of ours."""
    exchange.error = fault.says if fault is not None else "an internal error"
    status = fault.status if fault is not None else 500
    if exchange.status and not exchange.has_begun:
        exchange.client.reset()  # the answer is half written; only a broken transport is honest
        return
    message = f"The request failed: {exchange.error}."
    # What the owner ended must not come again by itself.
    _say(exchange, status, message, should_retry=False if fault is CANCELLED else None)


def _may_pass(fault: Fault, signal: Signal | None) -> bool:
    if fault.answer is Answer.VERBATIM:
        return signal is not None and (signal.is_json or fault in CLIENTS_OWN)
    return fault.answer is Answer.PARSABLE and signal is not None and signal.is_json


def _status(exchange: "Exchange", fault: Fault, signal: Signal | None) -> int:
    if fault.status:
        return fault.status
    if signal is None:
        return 502
    if signal.status >= 400:
        return signal.status
    # What the words meant counts more than a type that says nothing of it.
    if fault is QUOTA:
        return 402
    if fault in CLIENTS_OWN:
        return 404 if fault is MODEL_NOT_FOUND else 400
    if fault is OVERLOADED:
        return 529 if exchange.visit.admission.format.name == "messages" else 503
    return status_in_stream(signal, exchange.visit.admission.format.name)


def words_of(exchange: "Exchange", signal: Signal) -> str:
    """Return what an upstream said, without any key and without any upstream's address."""
    message = exchange.core.redact(signal.message)
    for one in exchange.core.table.upstreams:
        for address in (f"{one.scheme}://{one.authority}{one.root}", one.authority):
            message = message.replace(address, BLANK)
    return message


def _message(word: LastWord, said: str) -> str:
    fault = word.fault
    tries = f"{word.attempts} attempt{'' if word.attempts == 1 else 's'}"
    if fault.answer is Answer.LIMITED:
        again = f" Try again in {word.retry_after_s:.0f} s." if word.retry_after_s else ""
        return (
            f"{ALL_LIMITED} All upstream keys are rate limited ({tries}).{again}"
            f"{' The provider said: ' + said if said else ''}"
        )
    if fault.answer is Answer.OUR_WORDS or not said:
        return f"The request could not be served: {fault.says} ({tries})."
    return said


def _say(
    exchange: "Exchange",
    status: int,
    message: str,
    code: str | None = None,
    word: LastWord | None = None,
    *,
    should_retry: bool | None = None,
) -> None:
    format_ = exchange.visit.admission.format
    client = exchange.client
    if exchange.has_begun:
        event = format_.watch().failure(status, code, message)
        client.write(chunk(event) + LAST_CHUNK if exchange.is_chunked else event)
        return
    exchange.status = status
    extra = []
    if word is not None:
        extra = answer.retry_lines(word.retry_after_s, word.should_retry)
    elif should_retry is not None:
        extra = answer.retry_lines(None, should_retry)
    elif status == 503:
        extra = answer.retry_lines(1.0, None)
    client.write(
        answer.error_answer(
            format_,
            status,
            message,
            exchange.stamp(),
            code=code,
            extra=extra,
            is_head=exchange.request.method == "HEAD",
        )
    )


def _pass_verbatim(
    exchange: "Exchange",
    word: LastWord,
    attempt: Attempt,
    body: bytes,
    signal: Signal | None,
) -> None:
    """Send the provider's own error; only a key in it and stale advice are replaced.

    Of an upstream that speaks another format it goes in the client's.
    """
    # Providers quote keys in errors in every form, so all of them are looked for; not just ours.
    key, body = attempt.key, exchange.core.redactor.bytes(body)
    drop = answer.NOTHING
    extra = answer.retry_lines(word.retry_after_s, word.should_retry)
    status = attempt.status
    is_retold = isinstance(attempt.call, TranslatedCall) and signal is not None
    if is_retold:
        assert signal is not None
        clean = msgspec.structs.replace(signal, message=words_of(exchange, signal))
        client = exchange.visit.admission.format.name
        told = translated_error(clean, client, request_id=exchange.visit.id)
        status, body = told.status, told.body
    if extra or not word.is_unanimous:
        drop = answer.RETRY_FIELDS
    if attempt.is_decoded:
        drop |= answer.DECODED
    if is_retold:
        drop |= answer.RETOLD
        extra = [*extra, b"content-type: application/json\r\n"]
    exchange.status = status
    head = answer.upstream_head(
        status,
        attempt.headers,
        attempt.fields,
        exchange.stamp(),
        length=len(body),
        is_chunked=False,
        key=key,
        drop=drop,
        extra=extra,
    )
    exchange.client.write(head if exchange.request.method == "HEAD" else head + body)
