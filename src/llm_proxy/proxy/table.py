"""Which targets can serve what: the configuration, turned into answers to one question.

A table is immutable; a reload makes a new one, and exchanges under way keep theirs.
"""

from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.made import fingerprint
from llm_proxy.domain.target import Target, Upstream, targets_of
from llm_proxy.formats.endpoint import COUNT, GENERATE, Endpoint, Kind
from llm_proxy.formats.format import Format

TRANSLATED = ("chat", "messages", "responses")
"""Formats between which requests and answers are translated."""
MAX_CHAIN = 5
"""Models of one chain; more would outlast any client's patience."""
MAX_ROUTES = 1024
"""Routes remembered; model names are the clients' choice."""


class Route(msgspec.Struct, frozen=True):
    """Where a call can go.

    Attributes:
        targets: In configured order; at least one.
        names: The model's name at each target (by target id), where the call names a model.
        model: The name by which limits are remembered.
        asked: The model's name as clients have it; None where the call names none.
        foreign: The format to translate to, by the ids of targets that do not speak the client's.
        second: Ids of those targets, where others speak it: they come behind.
    """

    targets: tuple[Target, ...]
    names: dict[str, str | None]
    model: str
    asked: str | None = None
    foreign: dict[str, str] = {}
    second: frozenset[str] = frozenset()


class Asked(Protocol):
    """What routing reads of a call."""

    @property
    def format(self) -> Format: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def model(self) -> str | None: ...


class Table:
    """Routes of one generation of the configuration.

    Attributes:
        upstreams: As configured.
        targets: Every (upstream, key).
        rewrites_bodies: Whether any body is changed on the way up: renamed models, translation.
    """

    def __init__(
        self, upstreams: tuple[Upstream, ...], fallbacks: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Make the table.

        Args:
            upstreams: As configured.
            fallbacks: (model, other model) pairs; a model's first pair counts.
        """
        self.upstreams = upstreams
        self.targets = targets_of(upstreams)
        self.rewrites_bodies = bool(fallbacks) or any(
            one.model_map or one.formats for one in upstreams
        )
        self._fallbacks: dict[str, str] = {}
        for model, other in fallbacks:
            self._fallbacks.setdefault(model, other)
        self._chains: dict[tuple[Kind, str, str | None], tuple[Route, ...]] = {}
        # One tuple each for good: what is known about a route's targets is found by its identity.
        self._alone: dict[str, list[tuple[Target]]] = {}
        for target in self.targets:
            self._alone.setdefault(fingerprint(target), []).append((target,))

    def routes(self, call: Asked) -> tuple[Route, ...]:
        """Return where `call` can go: with the model it asks for, then with its fallbacks.

        Raises:
            RequestError: 404, nobody serves any of the models or speaks the format.
        """
        key = (call.endpoint.kind, call.format.name, call.model)
        routes = self._chains.get(key)
        if routes is None:
            routes = self._make_chain(call)
            if len(self._chains) >= MAX_ROUTES:
                self._chains.clear()
            self._chains[key] = routes
        return routes

    def only(self, routes: tuple[Route, ...], mark: str) -> tuple[Route, ...]:
        """Return `routes` with the target of fingerprint `mark` alone; those without it go.

        Empty: no target is of that address and key any more, or it does not serve the model.
        """
        tied = []
        for route in routes:
            for alone in self._alone.get(mark, ()):
                if alone[0] in route.targets:
                    tied.append(msgspec.structs.replace(route, targets=alone))
                    break
        return tuple(tied)

    def _make_chain(self, call: Asked) -> tuple[Route, ...]:
        models = [call.model]
        while models[-1] in self._fallbacks and len(models) < MAX_CHAIN:
            other = self._fallbacks[models[-1]]
            if other in models:
                break
            models.append(other)
        routes: list[Route] = []
        refusals: list[RequestError] = []
        for model in models:
            try:
                routes.append(self._make(call, model))
            except RequestError as error:
                refusals.append(error)
        if not routes:
            raise refusals[0]
        return tuple(routes)

    def _make(self, call: Asked, model: str | None) -> Route:
        format_, kind = call.format.name, call.endpoint.kind
        spoken = {one.name: format_for(one, format_, kind) for one in self.upstreams}
        if not any(spoken.values()):
            raise RequestError(
                404,
                f"no upstream speaks the format of {call.endpoint.path} (PROXY_FORMATS)",
                code="unsupported_endpoint",
            )
        names = {one.name: mapped(one, model) for one in self.upstreams if spoken[one.name]}
        serving = [u for u in self.upstreams if spoken[u.name] and serves(u, names[u.name])]
        native = [one for one in serving if spoken[one.name] == format_]
        if native and kind is not GENERATE:
            serving = native  # tokens are counted where they are spent, or estimated
        if not serving:
            raise RequestError(
                404,
                f"The model '{(model or '')[:200]}' does not exist: no upstream serves it."
                " GET /v1/models lists those that are served.",
                code="model_not_found",
                param="model",
            )
        targets = tuple(target for target in self.targets if target.upstream in serving)
        foreign = {
            target.id: spoken[target.upstream.name]
            for target in targets
            if target.upstream not in native
        }
        return Route(
            targets=targets,
            names={target.id: names[target.upstream.name] for target in targets},
            model=names[serving[0].name] or "",
            asked=model,
            foreign=foreign,
            second=frozenset(foreign) if native else frozenset(),
        )


def format_for(upstream: Upstream, format_: str, kind: Kind) -> str:
    """Return the format in which `upstream` serves clients of `format_`; empty = it does not."""
    if speaks(upstream, format_):
        return format_
    is_translated = kind in (GENERATE, COUNT) and format_ in TRANSLATED
    return upstream.formats[0] if is_translated else ""


def speaks(upstream: Upstream, format_: str) -> bool:
    """Return whether `upstream` takes requests of `format_` as they are."""
    if not upstream.formats:
        return True
    if format_ == "other":
        # Embeddings, images, audio… belong to the OpenAI family of paths.
        return upstream.formats != ("messages",)
    return format_ in upstream.formats


def mapped(upstream: Upstream, model: str | None) -> str | None:
    """Return the name under which `upstream` knows `model`."""
    if model is not None:
        for pattern, name in upstream.model_map:
            if pattern == model or ("*" in pattern and fnmatchcase(model, _glob(pattern))):
                return name
    return model


def serves(upstream: Upstream, model: str | None) -> bool:
    """Return whether `upstream` serves `model`, by its own name for it."""
    if not upstream.models or model is None:
        return True
    return any(
        pattern == model or ("*" in pattern and fnmatchcase(model, _glob(pattern)))
        for pattern in upstream.models
    )


def _glob(pattern: str) -> str:
    """Return `pattern` with nothing special in it but `*`."""
    return pattern.replace("[", "[[]").replace("?", "[?]")
