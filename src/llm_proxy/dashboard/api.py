"""Answers `/api/*`: what the page shows, also for whoever asks with an access key instead."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_proxy.domain.record import Record
from llm_proxy.domain.status import UpstreamStatus

from . import records
from .answer import Problem, json_answer
from .context import DashboardContext
from .sign_in import Gate
from .status import Board, seen_upstreams
from .stream import EventStream, Seats

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class _Requests(msgspec.Struct):
    requests: list[Record]
    next: str | None


class _Upstreams(msgspec.Struct):
    upstreams: list[UpstreamStatus]


class Api:
    """The handlers; each begins with the gate."""

    def __init__(self, context: DashboardContext, gate: Gate, board: Board) -> None:
        self._context = context
        self._gate = gate
        self._board = board
        self._seats = Seats()

    def routes(self) -> list[Route]:
        """Return every path of the API."""
        return [
            Route("/api/session", self._gate.session, methods=["GET", "POST", "DELETE"]),
            Route("/api/status", self.status),
            Route("/api/requests", self.requests),
            Route("/api/requests/{id}", self.request),
            Route("/api/upstreams", self.upstreams),
            Route("/api/events", self.events),
        ]

    async def status(self, request: Request) -> Response:
        """Answer `GET /api/status`."""
        caller = self._gate.guest(request)
        return Response(self._board.fresh().body(caller), media_type="application/json")

    async def requests(self, request: Request) -> Response:
        """Answer `GET /api/requests`: newest first, older ones with `before`."""
        caller = self._gate.signed_in(request)
        limit = _limit(request)
        before = request.query_params.get("before")
        if before is None:
            found = await records.newest(self._context, caller, limit)
        elif records.is_record_id(before):
            found = await records.older(self._context, caller, limit, before)
        else:
            raise Problem(400, "before must be the id of a request")
        is_full = len(found) == limit
        return json_answer(_Requests(found, found[-1].id if is_full else None))

    async def request(self, request: Request) -> Response:
        """Answer `GET /api/requests/{id}`; somebody else's request does not exist."""
        caller = self._gate.signed_in(request)
        record_id = request.path_params["id"]
        found = None
        if records.is_record_id(record_id):
            found = await records.find(self._context, caller, record_id)
        if found is None:
            raise Problem(404, "no such request, or it is older than the records are kept")
        return json_answer(found)

    async def upstreams(self, request: Request) -> Response:
        """Answer `GET /api/upstreams`."""
        caller = self._gate.signed_in(request)
        return json_answer(_Upstreams(seen_upstreams(self._context.upstreams(), caller)))

    async def events(self, request: Request) -> EventStream:
        """Answer `GET /api/events`: server-sent events until the client leaves."""
        caller = self._gate.guest(request)
        return EventStream(
            self._context,
            self._gate,
            self._board,
            seats=self._seats,
            request=request,
            caller=caller,
        )


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise Problem(400, f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)
