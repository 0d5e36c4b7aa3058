"""Why a model is served by whom: the routes of a question nobody has sent, explained by policy."""

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.target import Target
from llm_proxy.formats import format_named
from llm_proxy.formats.endpoint import Endpoint, endpoint_of
from llm_proxy.formats.format import Format
from llm_proxy.policy.board import Board
from llm_proxy.policy.explain import Explained, Outlook, Stage, explain

from .table import Table, mapped

PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}


class Question(msgspec.Struct, frozen=True):
    """What routing reads of a call."""

    format: Format
    endpoint: Endpoint
    model: str


def explain_model(
    table: Table, board: Board, *, model: str, format_name: str, now: float, max_retries: int
) -> Outlook:
    """Return what a request for `model` would meet at `now`.

    Args:
        table: The routes.
        board: What is known of their targets.
        model: As a client would name it.
        format_name: A key of `PATHS`.
        now: Loop time.
        max_retries: `MAX_RETRIES`.
    """
    question = Question(format_named(format_name), endpoint_of("POST", PATHS[format_name]), model)
    try:
        routes = table.routes(question)
    except RequestError as error:
        outlook = Outlook("refuses", error.message, False, None, [])
    else:
        stages = [Stage(one.targets, one.model, one.names, one.second) for one in routes]
        outlook = explain(board, stages, now=now, max_retries=max_retries)
    known = {explained.target for explained in outlook.targets}
    outlook.targets += [
        _left_out(target, model) for target in table.targets if target.id not in known
    ]
    return outlook


def _left_out(target: Target, model: str) -> Explained:
    """Return why a target is no candidate at all."""
    upstream = target.upstream
    name = mapped(upstream, model) or model
    return Explained(
        target=target.id,
        upstream=upstream.name,
        key=target.key.label,
        why="no_model",
        says=f"does not serve {name[:200]}",
        priority=upstream.priority,
        weight=upstream.weight,
        max_in_flight=upstream.max_concurrency,
    )
