"""What is answered from here, without asking any upstream: the models, and estimates of tokens."""

from typing import TYPE_CHECKING

from llm_proxy.domain.record import Outcome
from llm_proxy.formats.translate.count import answer as count_answer
from llm_proxy.formats.translate.count import estimate

from . import answer
from .call import Call
from .models import list_answer
from .translation import LARGE_BODY_BYTES

if TYPE_CHECKING:
    from .exchange import Exchange

ESTIMATED = b"x-llm-proxy-warnings: estimated=input_tokens\r\n"


async def answer_models(exchange: "Exchange") -> None:
    """Answer from memory what models there are."""
    assert exchange.core.models is not None
    models = await exchange.core.models.models()
    status, body = list_answer(exchange.visit, models)
    _send(exchange, status, body)


async def answer_count(exchange: "Exchange", call: Call) -> None:
    """Answer about how many tokens a request holds, where its upstream cannot count them.

    Raises:
        RequestError: 400, the body is unusable.
    """
    name = call.format.name
    if len(call.body) < LARGE_BODY_BYTES:
        tokens = estimate(name, call.body)
    else:
        tokens = await exchange.core.aside(estimate, name, call.body)
    _send(exchange, 200, count_answer(name, tokens), ESTIMATED)


def _send(exchange: "Exchange", status: int, body: bytes, *extra: bytes) -> None:
    exchange.status = status
    exchange.outcome = Outcome.OK if status == 200 else Outcome.CLIENT_ERROR
    is_head = exchange.request.method == "HEAD"
    exchange.client.write(
        answer.own_answer(status, body, exchange.stamp(), extra=extra, is_head=is_head)
    )
