"""Follow-ups go to the target that made what they speak of, and what is made is remembered.

A stored response, a file, a batch, a thread exists only at the upstream and under the key that
made it. So a request that names a remembered id has one target: if that is limited or down, the
client is told so, since any other could only say that there is no such thing. An id that nobody
remembers (made before, or elsewhere) is asked for wherever its own hash points, which is at least
the same place each time; whoever does not know it hands the question on.

An id that was made for another access key does not exist, unless the owner asks: the access keys
of a proxy share the providers' keys and must not share what is stored under them.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.made import Made, fingerprint
from llm_proxy.formats.endpoint import GENERATE
from llm_proxy.formats.prefix import MIN_BYTES, digest_of
from llm_proxy.formats.state import files_in, is_kept, named_in, named_in_small, place_of

from .attempt import Attempt
from .call import Call
from .table import Route

if TYPE_CHECKING:
    from .core import Core


def routes_of(core: "Core", call: Call) -> tuple[Route, ...]:
    """Return where `call` can go, tied to the one target that knows what it speaks of.

    Cost: 0.2 us for chat, 0.5 us for the others; 2 us where an id is named.

    Raises:
        RequestError: 404, nobody serves it, or it names what belongs to another access key.
    """
    routes = core.table.routes(call)
    if call.admission.pin:
        return _pinned(core, routes, call.admission.pin)
    endpoint, peek = call.admission.endpoint, call.peek
    is_chat = endpoint.format == "chat" and peek is not None and "store" not in peek.top
    if is_chat and endpoint.kind is GENERATE and not core.makers.has_files:
        return routes  # most requests, which neither keep anything nor speak of it
    call.is_kept = is_kept(call.endpoint, call.top)
    ids = _ids(core, call)
    return _tied(core, call, routes, ids) if ids else routes


def _pinned(core: "Core", routes: tuple[Route, ...], pin: str) -> tuple[Route, ...]:
    alone = core.table.only(routes, pin)
    if not alone:
        raise RequestError(404, "the chosen key does not serve this model", code="not_found")
    return alone


def _ids(core: "Core", call: Call) -> list[str]:
    endpoint = call.endpoint
    if endpoint.has_json_body:
        ids = named_in(endpoint, call.top)
        if core.makers.has_files and endpoint.kind is GENERATE:
            ids += files_in(call.body)
        return ids
    if place := place_of(endpoint):
        return [place]
    return named_in_small(call.body)


def _tied(core: "Core", call: Call, routes: tuple[Route, ...], ids: list[str]) -> tuple[Route, ...]:
    caller, owner = call.admission.caller, core.access.owner
    at_ms = core.wall_ms()
    tied: Made | None = None
    for id_ in ids:
        made = core.makers.find(id_, at_ms)
        if made is None:
            continue
        is_foreign = made.caller not in ("", caller.name)
        if is_foreign and (owner is None or caller.name != owner.name):
            raise _not_found(call, id_)
        tied = tied or made
    if tied is not None:
        call.made_for = tied.caller
        if alone := core.table.only(routes, tied.target):
            return alone
    if any(map(str.isdigit, ids[0])):  # else it is a word of the path, as in /v1/images/edits
        call.unknown_id = ids[0]
    return routes


def _not_found(call: Call, id_: str) -> RequestError:
    if id_ in named_in(call.endpoint, call.top) and "previous_response_id" in call.top:
        return RequestError(
            400,
            f"Previous response with id '{id_}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    return RequestError(404, f"There is no '{id_}'.", code="not_found")


def affinity_of(call: Call) -> bytes | None:
    """Return what identifies where `call` should go among equals, or None where nothing does.

    Cost: 5 us for a long prompt, else a comparison.
    """
    if len(call.body) >= MIN_BYTES and call.endpoint.kind is GENERATE:
        digest = digest_of(call.endpoint.format, call.top)
        if digest is not None:
            return digest
    if call.unknown_id:
        return blake2b(call.unknown_id.encode(), digest_size=16).digest()
    return None


def remember(core: "Core", call: Call, attempt: Attempt) -> None:
    """Remember who made what an answer gives out, before the client knows of it."""
    if attempt.relay is not None:
        named = attempt.relay.watch.answer_id
        ids = [named] if named is not None else []
    else:
        ids = call.made
    if not ids:
        return
    endpoint, makers = call.endpoint, core.makers
    is_new = endpoint.kind is GENERATE or (call.method == "POST" and not place_of(endpoint))
    # What follows from a thing belongs to whom the thing belongs to.
    holder = call.admission.caller.name if is_new else call.made_for
    target, at_ms = fingerprint(attempt.target), core.wall_ms()
    for id_ in ids:
        known = None if is_new else makers.find(id_, at_ms)
        if known is None or known.caller == holder:  # telling of a thing does not make it one's own
            makers.add(Made(id_, target, holder, at_ms))
