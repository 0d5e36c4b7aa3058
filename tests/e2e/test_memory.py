"""What a request took is given back when it is over, however it ended."""

from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.world import CHAT, World
from tests.support.answers import error

PROMPT = "all work and no play " * 2_500
REQUESTS = 400
ALLOWED_BYTES = 6_000_000
"""A third of what the prompts of all requests take together."""

End = Callable[[World], Awaitable[None]]


async def answered(world: World) -> None:
    """Get a whole answer."""
    answer = await world.generate("chat", messages=[{"role": "user", "content": PROMPT}])
    assert answer.status == 200


async def streamed(world: World) -> None:
    """Get a stream."""
    await world.stream("chat", messages=[{"role": "user", "content": PROMPT}])


async def failed(world: World) -> None:
    """Ask for a stream and get the provider's refusal instead."""
    world.provider.reply(error(400))
    messages = [{"role": "user", "content": PROMPT}]
    answer = await world.generate("chat", messages=messages, stream=True)
    assert answer.status == 400


async def refused(world: World) -> None:
    """Send a body that is none."""
    answer = await world.ask("POST", CHAT, body=PROMPT.encode())
    assert answer.status == 400


async def left(world: World) -> None:
    """Hang up within the body."""
    async with world.client() as client:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {world.proxy.access_key}"
        )
        await client.send(f"{head}\r\nContent-Length: 60000\r\n\r\n{PROMPT}".encode())


@pytest.mark.parametrize(
    "end", [answered, streamed, failed, refused, left], ids=lambda end: end.__name__
)
async def test_requests_leave_nothing_in_memory(world: World, end: End) -> None:
    for _ in range(50):
        await end(world)
    before = world.proxy.resident_bytes()
    for _ in range(REQUESTS):
        await end(world)
    assert world.proxy.resident_bytes() - before < ALLOWED_BYTES
