"""Decides who asks the page's data and whether they may: the one gate in front of `/api/*`.

A caller shows an access key in a header or the session cookie made from one. A key in a header
counts alone, right or wrong. Keys are throttled, sessions are not: they cannot be guessed. What
changes something and is vouched for by nothing but a cookie must also carry a header that a
foreign page cannot send, and come from our own page where the browser says where it comes from.

Everything is decided from the parsed request and the configuration of this moment, so a key that
a reload takes away ends its sessions and its open event streams.
"""

import math

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import Response

from llm_proxy.domain.filter import Filter
from llm_proxy.domain.record import Record
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.policy.access import AccessTable, Refusal

from .answer import Problem, json_answer
from .context import DashboardContext
from .session import LIFETIME_S, SessionTokens
from .throttle import Throttle

COOKIE = "llm_proxy_session"
CSRF_HEADER = "x-llm-proxy-csrf"
_KEY_HEADERS = ("x-api-key", "api-key")
_LOOKING = frozenset(("GET", "HEAD"))
_MAX_BODY_BYTES = 8192
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NEEDS_KEY = "the access key is needed: Permission Denied"
_WRONG_KEY = "this is no access key of this proxy: Permission Denied"


class Caller(msgspec.Struct, frozen=True):
    """Somebody who has shown an access key.

    Attributes:
        name: The key's name, as in records.
        secret: The key.
        is_owner: Whether it is the first one, which sees everybody's requests.
    """

    name: str
    secret: Secret
    is_owner: bool

    def filter(self, asked: Filter | None = None) -> Filter:
        """Return `asked`, all requests by default, confined to what this caller may see."""
        asked = Filter() if asked is None else asked
        return asked if self.is_owner else msgspec.structs.replace(asked, caller=self.name)

    def sees(self, record: Record) -> bool:
        """Whether this caller may read `record`."""
        return self.is_owner or record.caller == self.name


class SessionShown(msgspec.Struct):
    """Who is asking."""

    mode: str
    signed_in: bool
    caller: str | None
    is_owner: bool


class Credentials(msgspec.Struct):
    """An access key to sign in with."""

    key: str


class Gate:
    """Knows the callers; also answers `/api/session`, where sessions begin and end.

    Args:
        context: The running proxy.
        tokens: Makes and checks the cookie's value.
    """

    def __init__(self, context: DashboardContext, tokens: SessionTokens) -> None:
        self._context = context
        self._tokens = tokens
        self._throttle = Throttle()
        self._keys: tuple[AccessKey, ...] = ()
        self._table = AccessTable(())

    def still_admits(self, caller: Caller | None, headers: Headers) -> bool:
        """Whether who was let in as `caller` with these headers would be let in again."""
        is_open = caller is not None or self._context.mode == "summary"
        return is_open and self._identify(headers) == caller

    def caller(self, request: Request) -> Caller | None:
        """Return who asks; None = somebody who shows no key.

        Raises:
            Problem: 401 for a wrong key, 429 after too many of them.
        """
        found = self._by_header(request.headers)
        if found is Refusal.MISSING:
            return self._by_cookie(request.headers)
        return self._judge(request, found)

    def signed_in(self, request: Request) -> Caller:
        """Return who asks.

        Raises:
            Problem: 401 for a missing or wrong key, 429 after too many wrong ones.
        """
        caller = self.caller(request)
        if caller is None:
            raise Problem(401, _NEEDS_KEY, {"WWW-Authenticate": "Bearer"})
        return caller

    def owner(self, request: Request) -> Caller:
        """Return the owner; where the request changes something, only if it is no forgery.

        Raises:
            Problem: As `signed_in`; 403 for other callers and forgeries.
        """
        caller = self.signed_in(request)
        if not caller.is_owner:
            raise Problem(403, "this is the owner's business: use the first access key")
        if request.method not in _LOOKING:
            refuse_forgery(request)
        return caller

    def guest(self, request: Request) -> Caller | None:
        """Return who asks; None = a stranger, where strangers may see the totals.

        Raises:
            Problem: As `signed_in`, for a stranger only where everything is private.
        """
        return self.caller(request) if self._context.mode == "summary" else self.signed_in(request)

    async def session(self, request: Request) -> Response:
        """Answer `/api/session`: who am I, sign in, sign out."""
        match request.method:
            case "POST":
                return await self._sign_in(request)
            case "DELETE":
                return self._sign_out(request)
            case _:
                return self._show(request)

    def _show(self, request: Request) -> Response:
        caller = self.caller(request)
        return json_answer(
            SessionShown(
                mode=self._context.mode,
                signed_in=caller is not None,
                caller=caller.name if caller else None,
                is_owner=caller is not None and caller.is_owner,
            )
        )

    async def _sign_in(self, request: Request) -> Response:
        _refuse_foreign_pages(request.headers)
        caller = self._judge(request, self._check(await _key_in_body(request)))
        token = self._tokens.make(caller.secret, self._context.wall_ms())
        return Response(
            status_code=204, headers={"Set-Cookie": _cookie(request, token, LIFETIME_S)}
        )

    def _sign_out(self, request: Request) -> Response:
        refuse_forgery(request)
        return Response(status_code=204, headers={"Set-Cookie": _cookie(request, "", 0)})

    def _judge(self, request: Request, found: AccessKey | Refusal) -> Caller:
        peer = request.client.host if request.client else ""
        now = self._context.monotonic()
        wait_s = self._throttle.wait_s(peer, now)
        if wait_s > 0:
            retry_after = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem(429, "too many wrong access keys; wait a moment", retry_after)
        if isinstance(found, Refusal):
            self._throttle.on_wrong(peer, now)
            raise Problem(401, _WRONG_KEY, {"WWW-Authenticate": "Bearer"})
        return self._caller(found)

    def _identify(self, headers: Headers) -> Caller | None:
        found = self._by_header(headers)
        if found is Refusal.MISSING:
            return self._by_cookie(headers)
        return None if isinstance(found, Refusal) else self._caller(found)

    def _by_header(self, headers: Headers) -> AccessKey | Refusal:
        # Another scheme than Bearer is the business of a reverse proxy in front.
        bearers = (v for v in headers.getlist("authorization") if v[:7].lower() == "bearer ")
        shown = {value[7:].strip() for value in bearers}
        shown.update(v.strip() for name in _KEY_HEADERS for v in headers.getlist(name))
        shown.discard("")
        if len(shown) > 1:
            return Refusal.CONFLICT
        return self._check(shown.pop() if shown else "")

    def _by_cookie(self, headers: Headers) -> Caller | None:
        token = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if not token:
            return None
        keys = self._context.access_keys()
        key = self._tokens.verify(token, keys, self._context.wall_ms())
        return self._caller(key) if key else None

    def _check(self, key: str) -> AccessKey | Refusal:
        keys = self._context.access_keys()
        if keys is not self._keys:
            self._keys, self._table = keys, AccessTable(keys)
        return self._table.check(x_api_key=key.encode("utf-8", "surrogatepass"))

    def _caller(self, key: AccessKey) -> Caller:
        owner = self._context.access_keys()[0]
        return Caller(key.name, key.secret, is_owner=key.secret == owner.secret)


def refuse_forgery(request: Request) -> None:
    """Refuse what another site makes a signed-in browser send.

    Raises:
        Problem: 403.
    """
    _refuse_foreign_pages(request.headers)
    if COOKIE in request.cookies and request.headers.get(CSRF_HEADER) != "1":
        raise Problem(403, f"a request that changes something needs the header {CSRF_HEADER}: 1")


def _refuse_foreign_pages(headers: Headers) -> None:
    """Refuse a request that a browser sent for another site's page.

    `Sec-Fetch-Site` is the browser's own judgement; it holds behind a reverse proxy that rewrites
    `Host`, but browsers send it over https and to localhost only. Otherwise `Origin` must name
    the host that was asked.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    elif origin is not None:
        asked = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
        is_ours = _host_of(origin) in asked
    else:
        is_ours = True  # no browser: they send one of the two with whatever changes something
    if not is_ours:
        raise Problem(403, "this request came from another site's page")


def _host_of(origin: str) -> str:
    """Return `Origin` as a `Host` field would have it; `null` and nonsense are no host."""
    scheme, found, authority = origin.partition("://")
    if not found or scheme not in _DEFAULT_PORTS:
        return "null"
    return authority.removesuffix(_DEFAULT_PORTS[scheme])


async def _key_in_body(request: Request) -> str:
    """Return the key of a sign-in; blanks around it were pasted along.

    Raises:
        Problem: 400 or 413.
    """
    body = await request.body()
    if len(body) > _MAX_BODY_BYTES:
        raise Problem(413, "the body is too large for an access key")
    try:
        return msgspec.json.decode(body, type=Credentials).key.strip()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # `from None`: the decoder's words repeat what was sent.
        raise Problem(400, 'the body must be JSON: {"key": "the access key"}') from None


def _cookie(request: Request, token: str, lifetime_s: int) -> str:
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    is_secure = (forwarded or request.scope["scheme"]) == "https"
    return (
        f"{COOKIE}={token}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict"
        f"{'; Secure' if is_secure else ''}"
    )
