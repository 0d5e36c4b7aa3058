"""Takes the owner's orders: keys tested, paused and reset, requests ended; shows the settings."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .answer import Problem, json_answer
from .asking import MAX_TEXT
from .context import DashboardContext
from .shapes import AllInFlight, CaptureAsked
from .sign_in import Gate

MAX_IN_FLIGHT = 200
ACTIONS = ("test", "reset", "pause", "resume")


FORMATS = ("chat", "messages", "responses")


class HandOver(Response):
    """Gives the request to the proxy, which answers what it would answer on `/v1/…`.

    Args:
        format_: Whose path is meant.
        target_id: The only key that may be asked; empty = any.
    """

    def __init__(self, format_: str, target_id: str) -> None:
        super().__init__()
        self._words = (format_, target_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over; from then on nothing is ours to send."""
        scope["extensions"]["llm_proxy.hand_over"](*self._words)


class Orders:
    """The handlers; each begins with the gate."""

    def __init__(self, context: DashboardContext, gate: Gate) -> None:
        self._context = context
        self._gate = gate

    def routes(self) -> list[Route]:
        """Return the paths."""
        key = "/api/upstreams/{name}/keys/{key}/{action}"
        return [
            Route("/api/in-flight", self.in_flight),
            Route("/api/in-flight/{id}/cancel", self.cancel, methods=["POST"]),
            Route(key, self.act, methods=["POST"]),
            Route("/api/explain", self.explain),
            Route("/api/settings", self.settings),
            Route("/api/capture", self.captured),
            Route("/api/capture", self.capture, methods=["POST"]),
            Route("/api/alerts/test", self.test_alert, methods=["POST"]),
            Route("/api/playground", self.playground, methods=["POST"]),
        ]

    async def in_flight(self, request: Request) -> Response:
        """Answer `GET /api/in-flight`."""
        caller = self._gate.signed_in(request)
        found = [
            one
            for one in self._context.control.in_flight()
            if caller.is_owner or one.caller == caller.name
        ]
        return json_answer(AllInFlight(found[:MAX_IN_FLIGHT], len(found)))

    async def cancel(self, request: Request) -> Response:
        """Answer `POST /api/in-flight/{id}/cancel`."""
        self._gate.owner(request)
        if not self._context.control.cancel(request.path_params["id"]):
            raise Problem(404, "no such request is under way")
        return Response(status_code=204)

    async def act(self, request: Request) -> Response:
        """Answer `POST /api/upstreams/{name}/keys/{key}/{action}`."""
        self._gate.owner(request)
        action = request.path_params["action"]
        target_id = f"{request.path_params['name']}/{request.path_params['key']}"
        if action not in ACTIONS:
            raise Problem(404, f"an action is one of {', '.join(ACTIONS)}")
        control = self._context.control
        if action == "test":
            tested = await control.test_key(target_id)
            if tested is not None:
                return json_answer(tested)
        elif control.change_key(target_id, action):
            return Response(status_code=204)
        raise Problem(404, "there is no such key")

    async def explain(self, request: Request) -> Response:
        """Answer `GET /api/explain`."""
        self._gate.owner(request)
        model = request.query_params.get("model", "")
        format_ = request.query_params.get("format", FORMATS[0])
        if not 0 < len(model) <= MAX_TEXT:
            raise Problem(400, f"model must be a name of at most {MAX_TEXT} characters")
        if format_ not in FORMATS:
            raise Problem(400, f"format must be one of {', '.join(FORMATS)}")
        return json_answer(self._context.control.explain(model, format_))

    async def settings(self, request: Request) -> Response:
        """Answer `GET /api/settings`."""
        self._gate.owner(request)
        return json_answer(self._context.control.settings())

    async def capture(self, request: Request) -> Response:
        """Answer `POST /api/capture`."""
        self._gate.owner(request)
        try:
            asked = msgspec.json.decode(await request.body(), type=CaptureAsked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise Problem(400, 'the body must be JSON: {"minutes": 0 to 60}') from None
        return json_answer(self._context.control.capture(asked.minutes * 60))

    async def captured(self, request: Request) -> Response:
        """Answer `GET /api/capture`."""
        self._gate.owner(request)
        return json_answer(self._context.control.captured())

    async def test_alert(self, request: Request) -> Response:
        """Answer `POST /api/alerts/test`."""
        self._gate.owner(request)
        return json_answer(await self._context.control.test_alert())

    async def playground(self, request: Request) -> Response:
        """Answer `POST /api/playground`: by the proxy itself, as the owner's own request."""
        self._gate.owner(request)
        format_ = request.query_params.get("format", FORMATS[0])
        target_id = request.query_params.get("target", "")
        if format_ not in FORMATS:
            raise Problem(400, f"format must be one of {', '.join(FORMATS)}")
        if target_id and target_id not in self._target_ids():
            raise Problem(404, "there is no such key")
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Problem(415, "the body must be application/json")
        return HandOver(format_, target_id)

    def _target_ids(self) -> set[str]:
        return {key.id for upstream in self._context.upstreams() for key in upstream.keys}
