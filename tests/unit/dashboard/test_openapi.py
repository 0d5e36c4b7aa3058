"""The description of the API names every address and every field, and is one."""

from starlette.routing import Route

from llm_proxy.dashboard.api import Api
from llm_proxy.dashboard.openapi import OPERATIONS, description
from llm_proxy.dashboard.session import SessionTokens
from llm_proxy.dashboard.sign_in import Gate
from llm_proxy.dashboard.status import Board
from tests.support.dashboard_world import World


def test_every_address_is_described() -> None:
    context = World().context
    api = Api(context, Gate(context, SessionTokens(b"x" * 32)), Board(context, 1.0))
    routed = {
        (method.lower(), route.path)
        for route in api.routes()
        if isinstance(route, Route)
        for method in (route.methods or ())
        if method != "HEAD"
    }
    assert routed == {(one.method, one.path) for one in OPERATIONS}


async def test_anybody_may_read_it() -> None:
    answer = (await World("private").ask("/api/openapi.json")).json
    assert answer["openapi"] == "3.1.0"
    assert answer["info"]["version"] == "1.2.3"


def test_every_reference_leads_somewhere() -> None:
    whole = description("1")
    components = whole["components"]["schemas"]

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if "$ref" in value else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    found = {name.rpartition("/")[2] for name in references(whole)}
    assert found <= set(components)
    assert {"Record", "Numbers", "ErrorGroup", "KeyStatus"} <= found
