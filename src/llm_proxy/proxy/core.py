"""What all exchanges share, and the first look at every request.

`on_head` decides by the head alone: whose path it is, who asks, and whether it is let in. What
needs no upstream is answered by `ops`, what belongs to the page by `site`; the rest becomes an
exchange.
"""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.record import Record
from llm_proxy.domain.redact import Redactor
from llm_proxy.domain.secret import AccessKey
from llm_proxy.formats import format_named
from llm_proxy.formats.endpoint import MODEL, MODELS, OTHER, endpoint_of
from llm_proxy.formats.format import Format
from llm_proxy.net.client import ClientConnection
from llm_proxy.net.loop import Tasks
from llm_proxy.net.pool import Pools
from llm_proxy.policy.access import AccessTable, Refusal
from llm_proxy.policy.board import Board
from llm_proxy.policy.deadline import client_deadline_s, deadline_of
from llm_proxy.policy.makers import Makers
from llm_proxy.policy.retry import RetryConfig
from llm_proxy.wire.path import is_sound, nearest, repair
from llm_proxy.wire.request import Request

from . import answer
from .admission import Admission, Visit, id_header
from .capture import Capture
from .exchange import Exchange
from .gate import Gate
from .ids import Ids
from .models import Catalogue
from .neighbour import Ops, Site, Tracer
from .table import Table
from .translation import Dislikes

CORRECTED = "address corrected"
MAX_PATH = 200
MAX_CLIENT = 120
MAX_MODEL = 200
KEY_IN_QUERY = re.compile(
    rb"(?:^|[&;])(?:key|api[_-]?key|access[_-]?(?:key|token)|token)=", re.IGNORECASE
)
"""Keys in addresses end up in the logs of everything on the way, the upstream's included."""
MAX_SITE_BODY_BYTES = 1024 * 1024
"""Bodies for the page's paths, which never need more."""
MAX_NAMES = 1024
"""Cleaned names of models that are remembered: the same few come all the time."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Config(msgspec.Struct, frozen=True):
    """What a reload can change about how requests are served.

    Attributes:
        access_keys: In configured order; the first is the owner's.
        request_timeout_s: For the whole request until content flows; 0 = off.
        path_repair: Whether mistakes in addresses are tolerated.
        cors_origins: Origins of browser pages; `*` = any.
        max_body_bytes: Largest request body.
        retry: The numbers of policy.
        stream_rescue: Whether a stream that broke may go on elsewhere.
    """

    access_keys: tuple[AccessKey, ...]
    request_timeout_s: float
    path_repair: bool
    cors_origins: tuple[str, ...]
    max_body_bytes: int
    retry: RetryConfig
    stream_rescue: bool = False


class Core:
    """The handler behind the server: one per process."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        *,
        pools: Pools,
        board: Board,
        table: Table,
        config: Config,
        redactor: Redactor,
        gate: Gate,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        rng: Callable[[], float],
        report: Callable[[Record], None],
        on_bug: Callable[[BaseException], None],
        makers: Makers | None = None,
    ) -> None:
        self.loop = loop
        self.tasks = tasks
        self.pools = pools
        self.board = board
        self.table = table
        self.config = config
        self.access = AccessTable(config.access_keys)
        self.redactor = redactor
        self.redact_name = lru_cache(MAX_NAMES)(redactor.text)
        self.gate = gate
        self.clock = clock
        self.wall_ms = wall_ms
        self.rng = rng
        self.report = report
        self.on_bug = on_bug
        self.makers = makers or Makers(lambda _: None)
        self.ops: Ops | None = None
        self.site: Site | None = None
        self.tracer: Tracer | None = None
        self.models: Catalogue | None = None
        self.refused_early = 0
        self.capture = Capture(loop, wall_ms=wall_ms, redactor=lambda: self.redactor)
        self.dislikes = Dislikes()
        self._ids = Ids(wall_ms)
        self.exchanges: set[Exchange] = set()

    def configure(self, table: Table, config: Config, redactor: Redactor) -> None:
        """Take over a new configuration; exchanges under way keep what they have."""
        self.table = table
        self.config = config
        self.redactor = redactor
        self.redact_name = lru_cache(MAX_NAMES)(redactor.text)
        self.access = AccessTable(config.access_keys)
        self.board.reconfigure(table.targets, config=config.retry)
        self.pools.configure(table.targets)

    async def cancel_exchanges(self) -> None:
        """End what is still being served, and wait for it."""
        tasks = [exchange.task for exchange in self.exchanges if exchange.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for exchange in list(self.exchanges):
            exchange.abandon()

    # What exchanges ask.

    @property
    def retry(self) -> RetryConfig:
        """The numbers of policy."""
        return self.config.retry

    @property
    def max_body_bytes(self) -> int:
        """Largest request body, decoded."""
        return self.config.max_body_bytes

    @property
    def rewrites_bodies(self) -> bool:
        """Whether any body is changed on the way up."""
        return self.table.rewrites_bodies

    def redact(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.redactor.text(text)

    def shown_model(self, name: str | None) -> str | None:
        """Return a model's name as records have it: a client may have pasted anything there."""
        return self.redact_name(name[:MAX_MODEL]) if name is not None else None

    async def aside(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run what would hold the loop up in a thread."""
        return await self.loop.run_in_executor(None, lambda: function(*args))

    def deadline_of(self, visit: Visit) -> float:
        """Return when the request must have content, loop time."""
        return deadline_of(
            visit.arrived,
            client_s=visit.admission.client_s,
            request_s=self.config.request_timeout_s,
        )

    def client_deadline_of(self, visit: Visit) -> float:
        """Return when the client itself wants the end, loop time."""
        client_s = visit.admission.client_s
        return visit.arrived + client_s if client_s is not None else float("inf")

    # Handler.

    def on_head(self, client: ClientConnection, request: Request) -> bool:
        """Let the request in, or refuse it before its body is read."""
        admission = request.head.admission
        if not isinstance(admission, Admission) or admission.config is not self.config:
            try:
                found = self._look_at(client, request)
            except RequestError as error:
                client.refuse(self.error_answer(error, request, is_closing=client.will_close))
                return False
            if not isinstance(found, Admission):
                return found
            admission = request.head.admission = found
        request_id, at_ms = self._ids.next()
        request.visit = Visit(request, admission, request_id, at_ms, self.loop.time())
        return True

    def on_request(self, client: ClientConnection, request: Request) -> None:
        """Serve a whole request."""
        visit, request.visit = request.visit, None  # it refers back
        if isinstance(visit, Visit):
            if self.capture.until_ms is not None:
                client = self.capture.tap(client, visit)
            exchange = Exchange(self, client, visit)
            self.exchanges.add(exchange)
            client.on_gone = exchange.on_gone
            exchange.task = self.loop.create_task(exchange.run())
        elif self.ops is not None and self.ops.takes(request.path):
            self.tasks.start(self.ops.expose(client, request))
        elif self.site is not None:
            self.site.serve(client, request)

    def error_answer(
        self, error: RequestError, request: Request | None, *, is_closing: bool = True
    ) -> bytes:
        """Return a whole answer for a request that is refused without an exchange."""
        self.refused_early += 1
        format_ = self._dialect(request)
        extra = []
        if error.status == 401:
            extra = answer.retry_lines(None, should_retry=False)
        elif error.status in (429, 503):
            extra = answer.retry_lines(1.0, None)
        return answer.error_answer(
            format_,
            error.status,
            self.redact(error.message),
            self._stamp(request, format_, is_closing=is_closing),
            code=error.code or None,
            param=error.param,
            extra=extra,
            is_head=request is not None and request.method == "HEAD",
        )

    def origin_of(self, request: Request) -> bytes:
        """Return what `access-control-allow-origin` says; empty = nothing."""
        origin = request.fields.get(b"origin")
        if origin is None:
            return b""
        allowed = self.config.cors_origins
        if "*" in allowed:
            return b"*"
        return origin if origin.decode("latin-1") in allowed else b""

    # Steps.

    def _look_at(self, client: ClientConnection, request: Request) -> "Admission | bool":
        """Return what the head means; True: it is for the page; False: it has been answered.

        Raises:
            RequestError: It is refused.
        """
        if self.ops is not None:
            ready = self.ops.answer(request)
            if ready is not None:
                client.refuse(ready)
                return False
            if self.ops.takes(request.path):
                request.max_body_bytes = MAX_SITE_BODY_BYTES
                return True
        path, was_corrected = self._path_of(request)
        if path is None:
            if self.site is not None and self.site.takes(request.path):
                request.max_body_bytes = MAX_SITE_BODY_BYTES
                return True
            shown = _shown(request.path)
            raise RequestError(
                404, f"unknown path {shown}; did you mean {nearest(shown)}?", code="not_found"
            )
        endpoint = endpoint_of(request.method, path.decode("ascii"))
        caller = self._caller(request)
        if KEY_IN_QUERY.search(request.query):
            raise RequestError(
                400, "send the access key in a header, not in the address", code="key_in_address"
            )
        is_anthropic = endpoint.kind in UNREAD and b"anthropic-version" in request.fields
        format_ = format_named("messages" if is_anthropic else endpoint.format)
        return Admission(
            config=self.config,
            caller=caller,
            path=path,
            endpoint=endpoint,
            format=format_,
            id_name=id_header(format_),
            notice=CORRECTED if was_corrected else "",
            origin=self.origin_of(request),
            client_s=client_deadline_s(request.fields.get(b"x-llm-proxy-timeout-ms")),
            path_text=self.redact_name(endpoint.path[: 2 * MAX_PATH])[:MAX_PATH],
            client_text=self._client_text(request.fields.get(b"user-agent")),
            heads={},
        )

    def _client_text(self, agent: bytes | None) -> str | None:
        if not agent:
            return None
        text = agent[: 4 * MAX_CLIENT].decode("utf-8", "replace")
        return self.redact_name(text)[:MAX_CLIENT]

    def _path_of(self, request: Request) -> tuple[bytes | None, bool]:
        path = request.path
        if path.startswith(b"/v1/") and path in HOT:
            return path, False
        if not self.config.path_repair:
            return (path if path.startswith(b"/v1/") and is_sound(path) else None), False
        address = repair(path)
        if address is None:
            return None, False
        return address.path.encode("ascii"), address.was_corrected

    def _caller(self, request: Request) -> AccessKey:
        fields = request.fields
        for name in (b"authorization", b"x-api-key", b"api-key"):
            if request.has_repeated(name):
                raise _denied("two credentials of one kind were sent")
        found = self.access.check(
            fields.get(b"authorization"), fields.get(b"x-api-key"), fields.get(b"api-key")
        )
        if isinstance(found, AccessKey):
            return found
        if found is Refusal.MISSING:
            raise _denied("no access key was sent")
        if found is Refusal.CONFLICT:
            raise _denied("two different access keys were sent")
        raise _denied("the access key is wrong")

    def _stamp(self, request: Request | None, format_: Format, *, is_closing: bool) -> answer.Stamp:
        request_id, _ = self._ids.next()
        return answer.Stamp(
            request_id=request_id,
            id_name=id_header(format_),
            origin=self.origin_of(request) if request is not None else b"",
            connection=b"connection: close\r\n" if is_closing else b"",
        )

    def _dialect(self, request: Request | None) -> Format:
        if request is None or not request.path:
            return format_named("chat")
        path, _ = self._path_of(request)
        shown = path if path is not None else request.path
        if b"/messages" in shown or b"anthropic-version" in request.fields:
            return format_named("messages")
        return format_named("responses" if b"/responses" in shown else "chat")


UNREAD = (MODELS, MODEL, OTHER)
"""Both families have such paths (models, files): who sends `anthropic-version` is of Anthropic's."""
HOT = frozenset((b"/v1/chat/completions", b"/v1/messages", b"/v1/responses", b"/v1/embeddings"))
"""Paths that are right as they are, most of the time."""


def _denied(reason: str) -> RequestError:
    return RequestError(
        401,
        f"Permission Denied: {reason}. Incorrect API key provided: use one of the proxy's access"
        " keys (MY_ACCESS_KEY), not a provider's.",
        code="invalid_api_key",
    )


def _shown(path: bytes) -> str:
    return path[:200].decode("ascii", "backslashreplace")
