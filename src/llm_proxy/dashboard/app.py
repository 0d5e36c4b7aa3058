"""Puts the page's server side together: its paths, and what every answer of it carries.

Paths are decided on `scope["path"]` alone, never on an address rebuilt from `Host`, and nothing is
redirected to an absolute address.
"""

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answer import ERROR_HANDLERS
from .api import Api
from .assets import STATIC, Page, read_assets
from .context import DashboardContext
from .session import SessionTokens, signing_secret
from .sign_in import Gate
from .status import Board
from .stream import TICK_S

_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(context: DashboardContext, static: Path = STATIC) -> ASGIApp:
    """Return the ASGI application that serves the page and `/api/*`.

    Reads the built page and the session secret from disk; not to be called on a busy loop.

    Args:
        context: The running proxy.
        static: Where the built page lies; may be missing.
    """
    gate = Gate(context, SessionTokens(signing_secret(context.data_dir)))
    page = Page(context, read_assets(static))
    routes = [
        Route("/", page.index),
        Route("/dashboard", page.home),
        Route("/dashboard/", page.home),
        Route("/dashboard/{name:path}", page.asset),
        *Api(context, gate, Board(context, TICK_S)).routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=ERROR_HANDLERS)
    app.router.redirect_slashes = False  # it would build the address from `Host`
    return _with_security_headers(app)


def _with_security_headers(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                headers.update(_SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                message = {**message, "headers": headers.raw}
            await send(message)

        await app(scope, receive, send_guarded)

    return guarded
