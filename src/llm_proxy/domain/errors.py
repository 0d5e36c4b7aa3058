"""The exceptions that cross a file's border.

    ProxyError
    ├── ConfigError          bad settings; one line for the user, stops the start
    ├── WireError            a peer broke HTTP or a limit of ours
    │   ├── RequestError     the client's fault: carries the status to answer with
    │   └── ResponseError    the upstream's fault
    └── StoreError           the record store cannot be used

Expected failures of an attempt are no exceptions but rows of `faults.FAULTS`.
"""


class ProxyError(Exception):
    """Root of this package's exceptions. No text carries headers, bodies or keys."""


class ConfigError(ProxyError):
    """A setting is unusable. The message is one line: which, what is wrong, what works.

    Attributes:
        setting: The name as the user wrote it: `PROXY_URL`, or `upstream[0].url` in the file.
    """

    def __init__(self, setting: str, problem: str, fix: str) -> None:
        super().__init__(f"{setting}: {problem}. {fix}")
        self.setting = setting


class WireError(ProxyError):
    """A peer's bytes cannot be used."""


class RequestError(WireError):
    """The client's request is refused.

    Attributes:
        status: HTTP status to answer with.
        code: Machine-readable code in the error body, or empty.
        message: What is wrong and what to do, for the client's user.
        param: The request field at fault, or None.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


class ResponseError(WireError):
    """The upstream's answer is no HTTP, or breaks a limit."""


class StoreError(ProxyError):
    """The store cannot be opened, read or written."""
