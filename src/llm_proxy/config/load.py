"""Makes the settings: environment before file, repaired, checked, with the upstreams built.

The only place that reads the process's environment. `load` reads the file and, on loopback and
in the demo, reads or writes the generated access key; nothing else outside its arguments.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from llm_proxy.domain.errors import ConfigError
from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.target import Upstream

from .access import keep_key, kept_key, new_key, read_access_keys, refuse_open_door
from .address import is_loopback
from .file import NAME, Written, nearest_name, read_file
from .kinds import Kind, Special, parse_as
from .outbound import Outbound, read_outbound
from .own_price import read_prices
from .prices import OwnPrice
from .reading import Reading
from .settings import NAMES, Settings
from .table import from_tables
from .upstream import Defaults, from_lists, read_addresses, read_keys

CONFIG_VARIABLE = "LLM_PROXY_CONFIG"
"""Names the file where no `--config` does."""

_LATER = {
    "database_url": "PostgreSQL is not supported yet",
    "redis_url": "Redis is not supported yet",
    "workers": "more than one process is not supported yet",
}


def kinds() -> dict[str, Kind]:
    """Return the kind of every setting."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in NAMES}


def load(
    environ: Mapping[str, str],
    *,
    config_path: Path | None,
    cwd: Path,
    demo: bool = False,
    known_key: Secret | None = None,
) -> Settings:
    """Return the settings that `environ` and the file make.

    Args:
        environ: Variables by name.
        config_path: The file; None = the one LLM_PROXY_CONFIG names, else `llm-proxy.toml` in
            `cwd` where there is one.
        cwd: What relative paths are relative to.
        demo: For the built-in provider: a generated access key will do on any address, and
            no file is read that was not asked for.
        known_key: The generated key this process already uses; a reload must not make another.

    Raises:
        ConfigError: The first thing that stops the start.
    """
    settings, problems = examine(
        environ, config_path=config_path, cwd=cwd, demo=demo, known_key=known_key
    )
    if problems:
        raise problems[0]
    return settings


def from_process(argv_config: str | None = None, *, known_key: Secret | None = None) -> Settings:
    """Return the settings of this process.

    Args:
        argv_config: The path behind `--config`, if any.
        known_key: As `load`.

    Raises:
        ConfigError: As `load`.
    """
    path = Path(argv_config) if argv_config else None
    return load(os.environ, config_path=path, cwd=Path.cwd(), known_key=known_key)


def examine_process(argv_config: str | None = None) -> tuple[Settings, list[ConfigError]]:
    """Return the settings of this process and what stops its start, writing nothing.

    Variables whose names look like misspelt settings are added to the warnings.

    Raises:
        ConfigError: The file cannot be read at all.
    """
    path = Path(argv_config) if argv_config else None
    settings, problems = examine(os.environ, config_path=path, cwd=Path.cwd(), make_key=False)
    warnings = (*settings.warnings, *_misspelt(os.environ))
    return msgspec.structs.replace(settings, warnings=warnings), problems


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable that is nearly one of ours; others' are common, too."""
    near = {name: nearest_name(name, NAMES, 0.85) for name in environ}
    return [
        f"{name}: is not a setting; was {setting.upper()} meant?"
        for name, setting in near.items()
        if setting is not None and name != setting.upper()
    ]


def generated_key(settings: Settings) -> Secret | None:
    """Return the access key if it was generated rather than configured."""
    is_generated = settings.origins.get("my_access_key") == "generated"
    return settings.access_keys[0].secret if is_generated and settings.access_keys else None


def process_environ() -> dict[str, str]:
    """Return a copy of the environment, for commands that lay something over it."""
    return dict(os.environ)


def examine(
    environ: Mapping[str, str],
    *,
    config_path: Path | None,
    cwd: Path,
    demo: bool = False,
    known_key: Secret | None = None,
    make_key: bool = True,
) -> tuple[Settings, list[ConfigError]]:
    """Return the settings as far as they can be read, and all that stops a start.

    Args:
        environ: As `load`.
        config_path: As `load`.
        cwd: As `load`.
        demo: As `load`.
        known_key: As `load`.
        make_key: Whether an access key may be generated and written.

    Raises:
        ConfigError: The file cannot be read at all.
    """
    path = _config_path(environ, config_path, cwd, is_searched=not demo)
    reading = Reading(environ, read_file(path) if path else Written())
    values = _plain_values(reading)
    values["data_dir"] = cwd / values["data_dir"]
    values["host"] = reading.attempt(lambda: _host(reading), "0.0.0.0")  # noqa: S104 - the default
    _refuse_later(reading, values)

    def outbound() -> Outbound:
        own = reading.text("outbound_proxy")
        return read_outbound(environ, reading.spelled("outbound_proxy"), own, reading.repairs)

    way_out = reading.attempt(outbound, Outbound())
    values["outbound_proxy"] = way_out.own
    no_upstreams: tuple[Upstream, ...] = ()
    upstreams = reading.attempt(lambda: _upstreams(reading, values, way_out), no_upstreams)
    configured = reading.attempt(lambda: read_access_keys(reading), None)
    access_keys, has_new_key = configured or (), False
    if configured == ():
        access_keys, has_new_key = _generated(
            reading, values, is_allowed=demo, known_key=known_key, make_key=make_key
        )
    _compare(reading, values, upstreams, access_keys)
    _warn_of_folder(reading, values["data_dir"])
    no_prices: tuple[OwnPrice, ...] = ()
    settings = Settings(
        **values,
        prices=reading.attempt(lambda: read_prices(reading.written.prices), no_prices),
        my_access_key=configured or (),
        upstreams=upstreams,
        access_keys=access_keys,
        has_new_key=has_new_key,
        config_path=path,
        repairs=tuple(reading.repairs.lines),
        warnings=tuple(reading.warnings),
        origins=reading.origins,
    )
    return settings, reading.problems


def _config_path(
    environ: Mapping[str, str], given: Path | None, cwd: Path, *, is_searched: bool
) -> Path | None:
    if given is not None:
        return cwd / given
    if not is_searched:
        return None
    named = environ.get(CONFIG_VARIABLE, "").strip()
    if named:
        return cwd / named
    found = cwd / NAME
    return found if found.exists() else None


def _plain_values(reading: Reading) -> dict[str, Any]:
    """Return the values of all settings whose text says everything; defaults elsewhere."""
    values: dict[str, Any] = {}
    defaults = Settings()
    for name, kind in kinds().items():
        if name in {"my_access_key", "proxy_url", "api_key", "outbound_proxy"}:
            continue  # these have readers of their own
        default = getattr(defaults, name)
        text = _path_text(reading) if name == "data_dir" else reading.text(name)
        if text is None:
            values[name] = default
        elif isinstance(kind, Special):
            values[name] = Secret(text) if name.endswith("_url") else text
        else:
            values[name] = reading.attempt(
                lambda kind=kind, name=name, text=text: parse_as(  # type: ignore[misc]
                    kind, reading.spelled(name), text
                ),
                default,
            )
    return values


def _path_text(reading: Reading) -> str | None:
    # A folder's name may hold quotes or full-width characters; nothing of it is repaired.
    text = reading.raw("data_dir")
    return text.strip() if text is not None else None


def _host(reading: Reading) -> str:
    text = reading.text("host")
    if text is None:
        return Settings().host
    setting = reading.spelled("host")
    host = text.removeprefix("[").removesuffix("]").lower()
    if host == "*":
        reading.repairs.say(setting, "* written as 0.0.0.0")
        return Settings().host
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*(%[a-z0-9]+)?", host) or (
        host.count(":") == 1
    ):
        fix = "Use an address of this machine without scheme and port, for example 127.0.0.1"
        raise ConfigError(setting, "is no address to listen on", fix)
    return host


def _refuse_later(reading: Reading, values: dict[str, Any]) -> None:
    """Refuse what is documented but not built: ignoring it would promise what does not happen."""
    for name, problem in _LATER.items():
        value = values[name]
        is_asked_for = value > 1 if name == "workers" else bool(value)
        if is_asked_for:
            reading.problems.append(ConfigError(reading.spelled(name), problem, "Leave it out"))


def _upstreams(
    reading: Reading, values: dict[str, Any], outbound: Outbound
) -> tuple[Upstream, ...]:
    values["proxy_url"], values["api_key"] = (), ()
    addresses = read_addresses(reading)
    values["proxy_url"] = tuple(str(address) for address in addresses)
    raw = reading.raw("api_key")
    keys = read_keys(reading.spelled("api_key"), raw, reading) if raw else ()
    values["api_key"] = keys
    defaults = Defaults(
        formats=values["proxy_formats"],
        models=values["proxy_models"],
        model_map=values["model_map"],
        timeouts=Settings(
            **{name: value for name, value in values.items() if name.endswith("_timeout_s")}
        ).timeouts,
        outbound=outbound,
    )
    tables = reading.written.upstreams
    if not addresses and not tables:
        raise ConfigError(
            "PROXY_URL",
            "is not set",
            "Set it to your provider's address, for example "
            "PROXY_URL=https://api.example.com/v1, or try `llm-proxy demo`",
        )
    if not addresses:
        return from_tables(keys, defaults, reading)
    if tables and reading.origins["proxy_url"] == "file":
        fix = "Keep one of the two"
        raise ConfigError("proxy_url", "stands beside [[upstream]] tables", fix)
    if tables:
        reading.warn("[[upstream]]: not used, PROXY_URL of the environment replaces the tables")
    return from_lists(addresses, keys, defaults, reading)


def _generated(
    reading: Reading,
    values: dict[str, Any],
    *,
    is_allowed: bool,
    known_key: Secret | None,
    make_key: bool,
) -> tuple[tuple[AccessKey, ...], bool]:
    """Return the generated access key, and whether it is new; none where it must be set."""
    if not is_allowed and not is_loopback(values["host"]):
        reading.problems.append(refuse_open_door(reading, values["host"]))
        return (), False
    data_dir: Path = values["data_dir"]
    reading.origins["my_access_key"] = "generated"
    key = known_key or kept_key(data_dir)
    if key is not None:
        return (AccessKey("key-1", key),), False
    if not make_key:
        return (), False
    key = Secret(new_key())
    if not keep_key(data_dir, key):
        reading.warn("MY_ACCESS_KEY: the generated key could not be kept, it lasts one run")
    return (AccessKey("key-1", key),), True


def _compare(
    reading: Reading,
    values: dict[str, Any],
    upstreams: tuple[Upstream, ...],
    access_keys: tuple[AccessKey, ...],
) -> None:
    """Refuse what is only wrong together."""
    upstream_keys = {key.secret for upstream in upstreams for key in upstream.keys if key.secret}
    if any(access.secret in upstream_keys for access in access_keys):
        fix = "Clients must not hold the provider's key: choose a key of your own for them"
        setting = reading.spelled("my_access_key")
        raised = ConfigError(setting, "holds a key that is also an upstream's key", fix)
        reading.problems.append(raised)
    host, port = values["host"], values["port"]
    is_everywhere = host in {"0.0.0.0", "::"}  # noqa: S104 - a comparison
    for upstream in upstreams:
        is_here = upstream.host == host or (is_everywhere and is_loopback(upstream.host))
        if upstream.scheme == "http" and upstream.port == port and is_here:
            setting = reading.spelled("proxy_url")
            fix = "Set it to the provider's address; a proxy that calls itself never answers"
            reading.problems.append(ConfigError(setting, "holds this proxy's own address", fix))


def _warn_of_folder(reading: Reading, data_dir: Path) -> None:
    """Say so when records cannot be kept; traffic goes on all the same."""
    if not _is_writable(data_dir):
        reading.warn(
            f"{reading.spelled('data_dir')}: cannot be written; records live in memory and are "
            "lost at restart"
        )


def _is_writable(folder: Path) -> bool:
    """Return whether `folder` can be written to, or made."""
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    except (OSError, StopIteration):
        return False
