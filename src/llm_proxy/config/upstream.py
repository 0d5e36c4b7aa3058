"""Builds the upstreams of PROXY_URL and API_KEY.

Keys of one address become one upstream with several keys. Addresses and keys are counted as
written, before duplicates go, so that `A,A` with `k1,k2` is two keys of one address.
"""

import re

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import Secret
from llm_proxy.domain.target import Key, Timeouts, Upstream

from .access import check_key_text
from .address import Address, is_loopback, read_address
from .hosts import formats_of, knobs_of, message_auth_of
from .outbound import Outbound
from .reading import Reading
from .repair import cleaned, items, joined_addresses, without_header_words

_PROXY_PORTS = frozenset({1080, 1081, 1087, 2080, 6152, 7890, 7891, 7897, 8118, 10808, 10809})
"""Ports on which outbound proxies (Clash, v2ray, Surge, Privoxy…) listen by default."""


class Defaults(msgspec.Struct, frozen=True):
    """What applies to every upstream that does not say otherwise."""

    formats: tuple[tuple[str, ...], ...] = ((),)
    models: tuple[tuple[str, ...], ...] = ((),)
    model_map: tuple[tuple[str, str], ...] = ()
    timeouts: Timeouts = Timeouts()
    outbound: Outbound = Outbound()


def read_addresses(reading: Reading) -> tuple[Address, ...]:
    """Return the addresses of PROXY_URL as written, twice where written twice."""
    raw = reading.raw("proxy_url")
    if raw is None:
        return ()
    setting = reading.spelled("proxy_url")
    text = joined_addresses(setting, cleaned(setting, raw, reading.repairs), reading.repairs)
    parts = items(setting, text, reading.repairs)
    addresses = tuple(read_address(setting, part, reading.repairs) for part in parts)
    for address in addresses:
        warn_of_proxy(setting, address, reading)
    return addresses


def warn_of_proxy(setting: str, address: Address, reading: Reading) -> None:
    """Say so when an upstream's address looks like that of an outbound proxy."""
    if address.port in _PROXY_PORTS and is_loopback(address.host):
        reading.warn(
            f"{setting}: {address.host}:{address.port} looks like an outbound proxy; if it is one, "
            f"set OUTBOUND_PROXY to it and {setting} to the provider's address"
        )


def read_keys(setting: str, text: str, reading: Reading) -> tuple[Secret | None, ...]:
    """Return the keys of a list as written; None for `none`."""
    bare = cleaned(setting, text, reading.repairs)
    bare = without_header_words(setting, bare, reading.repairs)
    parts = items(setting, bare, reading.repairs)
    for part in parts:
        if re.match(r"(?i)https?://", part):
            fix = "The address belongs into PROXY_URL, the key here"
            raise ConfigError(setting, "holds an address", fix)
        check_key_text(setting, part)
    return tuple(None if part.lower() == "none" else Secret(part) for part in parts)


def from_lists(
    addresses: tuple[Address, ...],
    keys: tuple[Secret | None, ...],
    defaults: Defaults,
    reading: Reading,
) -> tuple[Upstream, ...]:
    """Return the upstreams of PROXY_URL and API_KEY.

    Raises:
        ConfigError: The numbers of addresses, keys, formats or models do not fit.
    """
    pairs = _paired(addresses, keys, reading)
    count = len(addresses)
    formats = spread("proxy_formats", defaults.formats, count, reading)
    models = spread("proxy_models", defaults.models, count, reading)
    # Entries of one address that differ in formats or models are upstreams of their own.
    groups: dict[tuple[Address, tuple[str, ...], tuple[str, ...]], list[Secret | None]] = {}
    for position, key in pairs:
        # With one address, every key belongs to it; else keys and addresses pair.
        group = (addresses[position], formats[position], models[position])
        known = groups.setdefault(group, [])
        if key in known:
            reading.repairs.say(reading.spelled("api_key"), "a duplicate of one address removed")
        else:
            known.append(key)
    return tuple(
        Upstream(
            name=f"upstream-{number}",
            scheme=address.scheme,
            host=address.host,
            port=address.port,
            root=address.root,
            keys=labelled(tuple(secrets)),
            formats=spoken or formats_of(address.host, address.root),
            models=served,
            model_map=defaults.model_map,
            knobs=knobs_of(address.host),
            message_auth=message_auth_of(address.host),
            proxy=defaults.outbound.proxy_of(address),
            timeouts=defaults.timeouts,
        )
        for number, ((address, spoken, served), secrets) in enumerate(groups.items(), 1)
    )


def labelled(secrets: tuple[Secret | None, ...]) -> tuple[Key, ...]:
    """Return keys with labels that are safe to show and unique within their upstream."""
    return tuple(
        Key("none" if secret is None else f"key-{number} {secret.hint}", secret)
        for number, secret in enumerate(secrets, 1)
    )


def _paired(
    addresses: tuple[Address, ...], keys: tuple[Secret | None, ...], reading: Reading
) -> list[tuple[int, Secret | None]]:
    """Return (position of the address, key) pairs."""
    if not keys:
        fix = "Set it to the provider's key, or to none where the provider wants no key"
        raise ConfigError("API_KEY", "is not set", fix)
    if len(addresses) == len(keys):
        return list(enumerate(keys))
    if len(addresses) == 1:
        return [(0, key) for key in keys]
    if len(keys) == 1:
        return [(position, keys[0]) for position in range(len(addresses))]
    raise ConfigError(
        reading.spelled("api_key"),
        f"has {len(keys)} keys for {len(addresses)} addresses",
        "Give one key for all, or as many keys as addresses (an address with several keys is "
        "written several times), or one address with any number of keys",
    )


def spread(
    name: str, lists: tuple[tuple[str, ...], ...], count: int, reading: Reading
) -> tuple[tuple[str, ...], ...]:
    """Return one list per address.

    Raises:
        ConfigError: There is neither one list for all nor one for each.
    """
    if len(lists) == 1:
        return lists * count
    if len(lists) == count:
        return lists
    problem = f"has {len(lists)} lists, PROXY_URL has {count} address{'es' * (count > 1)}"
    raise ConfigError(
        reading.spelled(name), problem, "Give one list for all, or one per address as written"
    )
