"""What the page shows of keys: the board's knowledge, and what their latest answers told."""

from collections.abc import Callable
from statistics import median

from llm_proxy.domain.record import Record
from llm_proxy.domain.status import Quota, UpstreamStatus
from llm_proxy.policy.limits_seen import quotas
from llm_proxy.proxy.core import Core


class KeyReport:
    """Asked a few times a second at most, and only while somebody looks.

    Args:
        core: What serves requests.
        latest: The requests that finished last.
    """

    __slots__ = ("_core", "_latest", "_quotas")

    def __init__(self, core: Core, latest: Callable[[], list[Record]]) -> None:
        self._core = core
        self._latest = latest
        self._quotas: dict[str, dict[str, Quota]] = {}

    def upstreams(self) -> list[UpstreamStatus]:
        """Return the state of every upstream and key."""
        core = self._core
        found = core.board.statuses(core.loop.time())
        first_tokens = _first_tokens(self._latest())
        wall_s = core.wall_ms() / 1000
        targets = {target.id: target for target in core.table.targets}
        for upstream in found:
            for key in upstream.keys:
                times = first_tokens.get((upstream.name, key.label))
                key.first_token_ms = round(median(times), 1) if times else None
                target = targets.get(key.id)
                if target is not None:
                    # Some answers tell nothing of limits; then the word before holds.
                    told = quotas(core.pools[target].last_fields, wall_s=wall_s)
                    key.quota = told or self._quotas.get(key.id, {})
                    self._quotas[key.id] = key.quota
        self._quotas = {name: one for name, one in self._quotas.items() if name in targets}
        return found


def _first_tokens(records: list[Record]) -> dict[tuple[str | None, str | None], list[float]]:
    times: dict[tuple[str | None, str | None], list[float]] = {}
    for record in records:
        if record.first_token_ms is not None:
            # From the answering attempt's start: what others took before it is not this key's.
            start_ms = record.attempts[-1].start_ms if record.attempts else 0.0
            took_ms = record.first_token_ms - start_ms
            times.setdefault((record.upstream, record.key), []).append(took_ms)
    return times
