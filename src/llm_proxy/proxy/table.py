"""Which targets can serve what: the configuration, turned into answers to one question.

A table is immutable; a reload makes a new one, and exchanges under way keep theirs.
"""

from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from llm_proxy.domain.errors import RequestError
from llm_proxy.domain.made import fingerprint
from llm_proxy.domain.target import Target, Upstream, targets_of
from llm_proxy.formats.endpoint import Endpoint
from llm_proxy.formats.format import Format

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
    """

    targets: tuple[Target, ...]
    names: dict[str, str | None]
    model: str
    asked: str | None = None


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
        has_model_maps: Whether any model is renamed on the way up.
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
        self.has_model_maps = bool(fallbacks) or any(one.model_map for one in upstreams)
        self._fallbacks: dict[str, str] = {}
        for model, other in fallbacks:
            self._fallbacks.setdefault(model, other)
        self._chains: dict[tuple[str, str | None], tuple[Route, ...]] = {}
        # One tuple each for good: what is known about a route's targets is found by its identity.
        self._alone: dict[str, list[tuple[Target]]] = {}
        for target in self.targets:
            self._alone.setdefault(fingerprint(target), []).append((target,))

    def routes(self, call: Asked) -> tuple[Route, ...]:
        """Return where `call` can go: with the model it asks for, then with its fallbacks.

        Raises:
            RequestError: 404, nobody serves any of the models or speaks the format.
        """
        key = (call.format.name, call.model)
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
        speaking = [u for u in self.upstreams if speaks(u, call.format.name)]
        if not speaking:
            raise RequestError(
                404,
                f"no upstream speaks the format of {call.endpoint.path} (PROXY_FORMATS)",
                code="unsupported_endpoint",
            )
        names = {upstream.name: mapped(upstream, model) for upstream in speaking}
        serving = [u for u in speaking if serves(u, names[u.name])]
        if not serving:
            raise RequestError(
                404,
                f"The model '{(model or '')[:200]}' does not exist: no upstream serves it."
                " GET /v1/models lists those that are served.",
                code="model_not_found",
                param="model",
            )
        targets = tuple(target for target in self.targets if target.upstream in serving)
        return Route(
            targets=targets,
            names={target.id: names[target.upstream.name] for target in targets},
            model=names[serving[0].name] or "",
            asked=model,
        )


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
