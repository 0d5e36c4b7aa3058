"""Takes the owner's orders: keys tested, paused and reset, requests ended; shows the settings."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answer import Problem, json_answer
from .context import DashboardContext
from .shapes import AllInFlight
from .sign_in import Gate

MAX_IN_FLIGHT = 200
ACTIONS = ("test", "reset", "pause", "resume")


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
            Route("/api/settings", self.settings),
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

    async def settings(self, request: Request) -> Response:
        """Answer `GET /api/settings`."""
        self._gate.owner(request)
        return json_answer(self._context.control.settings())
