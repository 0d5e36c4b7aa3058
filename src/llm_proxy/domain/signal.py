"""What a failed answer says, read from whatever shape it came in, before anybody judges it."""

import msgspec


class Signal(msgspec.Struct, frozen=True):
    """An upstream's error, taken apart.

    Attributes:
        status: HTTP status of the answer; 200 when the error stood inside a good-looking answer.
        type: `error.type` or its like, as sent; empty if absent.
        code: `error.code`, `error.status` or its like as text; empty if absent.
        error_code: Anthropic's `error.details.error_code`; empty if absent.
        message: The provider's words; for logs and matching, redact before showing.
        retry_after_s: Advice found in the body (`retryDelay`, "try again in 1.2s"), seconds.
        is_json: Whether the body was a JSON object or list that carried an error.
    """

    status: int
    type: str = ""
    code: str = ""
    error_code: str = ""
    message: str = ""
    retry_after_s: float | None = None
    is_json: bool = True
