"""A request's head, as read; shared by all requests that begin with the same bytes."""


class RequestHead:
    """What a request says before its body. It never changes once it is checked.

    Attributes:
        method: `POST`, as sent.
        target: The request target in origin form (an absolute form is cut to it).
        path: The target up to `?`, percent-encoding kept.
        query: Behind the `?`; empty without one.
        http_version: `1.1` or `1.0`.
        headers: (lower-case name, value without outer blanks), in order, repeats kept.
        fields: The same as a dict; of repeated fields the last one counts.
        keep_alive: Whether the client allows another request on its connection.
        expects_continue: Whether it waits for `100 Continue` before it sends the body.
        admission: What the handler decided about it, for the next request with this head.
    """

    __slots__ = (
        "admission",
        "expects_continue",
        "fields",
        "headers",
        "http_version",
        "keep_alive",
        "method",
        "path",
        "query",
        "target",
    )

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.path = b""
        self.query = b""
        self.http_version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.fields: dict[bytes, bytes] = {}
        self.keep_alive = True
        self.expects_continue = False
        self.admission: object | None = None

    def has_repeated(self, name: bytes) -> bool:
        """Return whether the field `name` was sent more than once."""
        return len(self.headers) != len(self.fields) and (
            sum(1 for field, _ in self.headers if field == name) > 1
        )
