"""The life of a client's connection as a table; `client.py` is the only one to walk along it."""

from enum import IntEnum


class State(IntEnum):
    """Life of a client's connection. Only `_go` changes it, along `NEXT`."""

    IDLE, BODY, SKIP, BUSY, LINGER, CLOSED = range(6)


IDLE, BODY, SKIP, BUSY, LINGER, CLOSED = State

NEXT = {
    IDLE: {BODY, SKIP, LINGER, CLOSED},  # no request, or a head is coming
    BODY: {BUSY, LINGER, CLOSED},  # admitted, the body is coming
    SKIP: {IDLE, LINGER, CLOSED},  # refused, a small body is dropped
    BUSY: {IDLE, LINGER, CLOSED},  # an exchange owns the connection
    LINGER: {CLOSED},  # the last answer is written, input is dropped
    CLOSED: set[State](),
}
