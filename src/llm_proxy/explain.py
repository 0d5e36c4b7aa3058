"""`llm-proxy check --explain MODEL`: who would serve a model now, and why nobody else.

The running proxy is asked, as it alone knows which keys rest; where none runs, or it cannot be
asked, the configuration alone must do, and the answer says so.
"""

import http.client
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import msgspec

from llm_proxy.check import connection_here
from llm_proxy.config.settings import Settings
from llm_proxy.policy.board import Board
from llm_proxy.policy.explain import Explained, Outlook
from llm_proxy.proxy.explain import explain_model
from llm_proxy.proxy.table import Table

_MAX_BODY_BYTES = 16 << 20
_DAY_S = 86_400


class Report(msgspec.Struct, kw_only=True):
    """What is printed.

    Attributes:
        model: As asked for.
        format: As asked for.
        source: `proxy` (what it knows at this moment) or `configuration`.
        note: Where it comes from, and why not from the running proxy.
        outlook: The explanation.
    """

    model: str
    format: str
    source: str
    note: str
    outlook: Outlook


def report_on(settings: Settings, model: str, format_name: str) -> Report:
    """Return who would serve `model`, by the running proxy or by the configuration alone."""
    found = _ask(settings, model, format_name)
    if isinstance(found, Outlook):
        note = f"as the proxy on port {settings.port} knows it"
        return Report(model=model, format=format_name, source="proxy", note=note, outlook=found)
    table = Table(settings.upstreams, settings.model_fallbacks)
    outlook = explain_model(
        table,
        Board(table.targets),
        model=model,
        format_name=format_name,
        now=0.0,
        max_retries=settings.max_retries,
    )
    note = f"by the configuration alone: {found}"
    return Report(
        model=model, format=format_name, source="configuration", note=note, outlook=outlook
    )


def lines(report: Report, wall_s: float) -> Iterator[str]:
    """Yield the report for people; `wall_s` is the wall clock."""
    outlook = report.outlook
    yield f"{report.model} ({report.format}), {report.note}"
    yield _dated(outlook.says, outlook.until_s, wall_s)
    if not outlook.targets:
        return
    yield ""
    wide = max(len(one.upstream) for one in outlook.targets)
    wider = max(len(one.key) for one in outlook.targets)
    for one in outlook.targets:
        order = "-" if one.order is None else str(one.order)
        head = f"{order:>3}  {one.upstream:{wide}}  {one.key:{wider}}"
        yield f"{head}  {_words(one, report.model, wall_s)}"


def _words(one: Explained, model: str, wall_s: float) -> str:
    says = one.says if one.cause is None else f"{one.says} ({one.cause})"
    words = _dated(says, one.until_s, wall_s)
    if one.asked_for not in (None, model):
        kind = "fallback model" if one.stage else "asked for"
        words += f"; {kind} {one.asked_for}"
    return words


def _dated(says: str, until_s: float | None, wall_s: float) -> str:
    if until_s is None:
        return says
    pattern = "%H:%M:%S" if until_s < _DAY_S else "%Y-%m-%d %H:%M:%S"
    # Rounded up: at the time that is shown, it is over.
    return f"{says}, until {time.strftime(pattern, time.localtime(wall_s + until_s + 0.999))}"


def _ask(settings: Settings, model: str, format_name: str) -> Outlook | str:
    """Return what the running proxy says, or why it cannot be asked."""
    where = f"port {settings.port}"
    if not settings.access_keys:
        return "it has no access key to ask a running proxy with"
    key = settings.access_keys[0].secret.reveal()
    query = urlencode({"model": model, "format": format_name})
    connection = connection_here(settings.host, settings.port)
    try:
        connection.request(
            "GET", f"/api/explain?{query}", headers={"authorization": f"Bearer {key}"}
        )
        response = connection.getresponse()
        body = response.read(_MAX_BODY_BYTES)
    except (OSError, http.client.HTTPException):
        return f"no proxy answers on {where}"
    finally:
        connection.close()
    if response.status in (401, 403):
        return f"the proxy on {where} has another access key"
    if response.status != 200:
        return f"what runs on {where} does not tell ({response.status}; it may have DASHBOARD=off)"
    try:
        return msgspec.json.decode(body, type=Outlook)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return f"what runs on {where} is no LLM Proxy of this version"
