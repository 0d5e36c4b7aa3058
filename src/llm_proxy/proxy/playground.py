"""Serves a request of the page's playground as if the owner had sent it to `/v1/…`.

The page has a session, not the access key, and has shown that it is no other site's. So its body
gets a head of ours: the owner's access key, and nothing of what the browser sent (cookies, above
all, are no upstream's business). From there it is a request like any other, with its attempts,
its record and its answer, byte for byte.
"""

from llm_proxy.domain.made import fingerprint
from llm_proxy.net.client import ClientConnection
from llm_proxy.wire.head_fields import RequestHead
from llm_proxy.wire.request import Request

from .admission import Visit
from .core import Core

PATHS = {
    "chat": b"/v1/chat/completions",
    "messages": b"/v1/messages",
    "responses": b"/v1/responses",
}
CLIENT = b"llm-proxy-playground"


def serve_as_owner(
    core: Core, client: ClientConnection, request: Request, *, format_: str, target_id: str
) -> None:
    """Answer `request`, whose sender has shown to be the owner.

    Args:
        core: What serves requests.
        client: The connection the request came on.
        request: As read, whole.
        format_: A key of `PATHS`.
        target_id: The only target that may be asked; empty, or gone meanwhile = any.
    """
    inner = Request(_head(core, request, PATHS[format_]), len(request.body))
    inner.body = request.body
    inner.received_bytes = len(request.body)
    inner.peer = request.peer
    inner.is_complete = True
    if not core.on_head(client, inner):
        return
    visit = inner.visit
    target = next((one for one in core.table.targets if one.id == target_id), None)
    if target is not None and isinstance(visit, Visit):
        visit.admission.pin = fingerprint(target)  # the head is nobody else's, so this is too
    core.on_request(client, inner)


def _head(core: Core, request: Request, path: bytes) -> RequestHead:
    head = RequestHead()
    head.method = "POST"
    head.target = head.path = path
    head.http_version = request.http_version
    head.keep_alive = request.keep_alive
    key = core.config.access_keys[0].secret.reveal()
    head.headers = [
        (b"content-type", b"application/json"),
        (b"user-agent", CLIENT),
        (b"authorization", b"Bearer " + key.encode()),
    ]
    head.fields = dict(head.headers)
    return head
