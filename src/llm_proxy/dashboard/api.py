"""Answers what is: the state of the proxy and its keys, live, and where the other paths lead."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answer import json_answer
from .context import DashboardContext
from .control import Orders
from .history import Archive
from .openapi import description
from .shapes import Upstreams
from .sign_in import Gate
from .status import Board, seen_upstreams
from .stream import EventStream, Seats


class Api:
    """The handlers; each begins with the gate."""

    def __init__(self, context: DashboardContext, gate: Gate, board: Board) -> None:
        self._context = context
        self._gate = gate
        self._board = board
        self._seats = Seats()
        self._archive = Archive(context, gate)
        self._orders = Orders(context, gate)

    def routes(self) -> list[Route]:
        """Return every path of the API."""
        return [
            Route("/api/openapi.json", self.openapi),
            Route("/api/session", self._gate.session, methods=["GET", "POST", "DELETE"]),
            Route("/api/status", self.status),
            Route("/api/upstreams", self.upstreams),
            Route("/api/events", self.events),
            *self._archive.routes(),
            *self._orders.routes(),
        ]

    async def openapi(self, _request: Request) -> Response:
        """Answer `GET /api/openapi.json`, to anyone: it says what this software can, not what it does."""
        return json_answer(description(self._context.version))

    async def status(self, request: Request) -> Response:
        """Answer `GET /api/status`."""
        caller = self._gate.guest(request)
        return Response(self._board.fresh().body(caller), media_type="application/json")

    async def upstreams(self, request: Request) -> Response:
        """Answer `GET /api/upstreams`."""
        caller = self._gate.signed_in(request)
        return json_answer(Upstreams(seen_upstreams(self._context.upstreams(), caller)))

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
