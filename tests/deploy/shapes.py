"""What platforms accept in their files, as far as ours use it.

Each shape follows the platform's documentation and refuses every field that is not in it, so a
misspelt name or a value of the wrong type fails in the tests and not at somebody's deployment.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Seconds = Annotated[str, Meta(pattern=r"^\d+s$")]
Image = Annotated[str, Meta(pattern=r"^ghcr\.io/[\w-]+/llm-proxy:\d+(\.\d+)*$")]
Upper = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$")]


class Shape(Struct, forbid_unknown_fields=True):
    """A mapping with these fields and no others."""


# --- Zeabur: the template's reference
class ZeaburVariable(Shape):
    """Asked of the user at deployment."""

    key: Upper
    type: Literal["STRING", "DOMAIN"]
    name: str
    description: str


class ZeaburPort(Shape):
    """A port of the container."""

    id: str
    port: int
    type: Literal["HTTP", "TCP"]


class ZeaburVolume(Shape):
    """A lasting folder."""

    id: str
    dir: str


class ZeaburValue(Shape):
    """A variable of the container."""

    default: str
    expose: bool = False
    readonly: bool = False


class ZeaburInstruction(Shape):
    """Shown to the user after the deployment."""

    title: str
    content: str


class ZeaburSource(Shape):
    """What runs."""

    image: Image


class ZeaburServiceSpec(Shape):
    """How a service runs."""

    source: ZeaburSource
    ports: list[ZeaburPort]
    volumes: list[ZeaburVolume]
    env: dict[Upper, ZeaburValue]
    instructions: list[ZeaburInstruction]


class ZeaburService(Shape, rename="camel"):
    """A container."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*$")]
    icon: str
    template: Literal["PREBUILT_V2"]
    domain_key: str
    spec: ZeaburServiceSpec


class ZeaburSpec(Shape):
    """The template itself."""

    description: str
    icon: str
    tags: list[str]
    variables: list[ZeaburVariable]
    readme: str
    services: list[ZeaburService]


class ZeaburWords(Shape):
    """The template's words in another language."""

    description: str
    variables: list[ZeaburVariable]
    readme: str


class ZeaburMetadata(Shape):
    """The template's name."""

    name: str


class Zeabur(Shape, rename="camel"):
    """`deploy/zeabur.yaml`."""

    api_version: Literal["zeabur.com/v1"]
    kind: Literal["Template"]
    metadata: ZeaburMetadata
    spec: ZeaburSpec
    localization: dict[str, ZeaburWords]


# --- Render: the Blueprint reference
class RenderVariable(Shape, rename="camel"):
    """A variable with a value, a generated one, or one that the user is asked for."""

    key: Upper
    value: str | UnsetType = UNSET
    generate_value: Literal[True] | UnsetType = UNSET
    sync: Literal[False] | UnsetType = UNSET


class RenderDisk(Shape, rename={"mount_path": "mountPath", "size_gb": "sizeGB"}):
    """A lasting folder; not on the free plan."""

    name: str
    mount_path: str
    size_gb: int


class RenderService(Shape, rename="camel"):
    """A container."""

    type: Literal["web"]
    name: str
    runtime: Literal["docker"]
    plan: str
    health_check_path: str
    env_vars: list[RenderVariable]
    max_shutdown_delay_seconds: Annotated[int, Meta(ge=1, le=300)] = 30
    disk: RenderDisk | None = None


class Render(Shape):
    """`render.yaml`."""

    services: list[RenderService]


# --- Fly.io: the app configuration reference
class FlyBuild(Shape):
    """What is built."""

    dockerfile: str


class FlyConcurrency(Shape):
    """Load at which the platform starts other machines or refuses."""

    type: Literal["connections", "requests"]
    soft_limit: int
    hard_limit: int


class FlyCheck(Shape):
    """A health check."""

    grace_period: Seconds
    interval: Seconds
    method: Literal["GET"]
    timeout: Seconds
    path: str


class FlyService(Shape):
    """What is reachable from outside."""

    internal_port: int
    force_https: bool
    auto_stop_machines: Literal["off", "stop", "suspend"]
    auto_start_machines: bool
    min_machines_running: int
    concurrency: FlyConcurrency
    checks: list[FlyCheck]


class FlyMount(Shape):
    """A lasting folder."""

    source: str
    destination: str


class FlyMachine(Shape):
    """A machine's size."""

    size: str
    memory: str


class Fly(Shape):
    """`fly.toml`."""

    app: str
    primary_region: str
    kill_signal: Literal["SIGTERM"]
    kill_timeout: Seconds
    build: FlyBuild
    env: dict[Upper, str]
    http_service: FlyService
    mounts: FlyMount
    vm: list[FlyMachine]


# --- Heroku: the app.json schema, and heroku.yml
class HerokuVariable(Shape):
    """A variable, asked for or generated."""

    description: str
    value: str | UnsetType = UNSET
    required: bool = True
    generator: Literal["secret"] | UnsetType = UNSET


class HerokuProcess(Shape):
    """How many of which size."""

    quantity: int
    size: str


class HerokuApp(Shape):
    """`app.json`."""

    name: Annotated[str, Meta(max_length=300)]
    description: str
    repository: str
    keywords: list[str]
    stack: Literal["container"]
    env: dict[Upper, HerokuVariable]
    formation: dict[Literal["web"], HerokuProcess]


class HerokuDocker(Shape):
    """Which Dockerfile runs as which process."""

    docker: dict[Literal["web"], str]


class HerokuManifest(Shape):
    """`heroku.yml`."""

    build: HerokuDocker


# --- Compose
class ComposeHealth(Shape):
    """A health check."""

    test: list[str]
    interval: Seconds
    timeout: Seconds
    start_period: Seconds


class ComposeService(Shape):
    """A container."""

    image: Image
    build: str
    restart: Literal["unless-stopped"]
    ports: list[str]
    environment: dict[Upper, str | int]
    read_only: Literal[True]
    cap_drop: list[str]
    security_opt: list[str]
    volumes: list[str]
    healthcheck: ComposeHealth
    stop_grace_period: Seconds


class Compose(Shape):
    """`compose.yaml`."""

    services: dict[str, ComposeService]
    volumes: dict[str, None]


# --- Hugging Face: a Space's front matter
class Space(Shape, rename={"color_from": "colorFrom", "color_to": "colorTo"}):
    """The first lines of a Space's README."""

    title: str
    emoji: str
    color_from: str
    color_to: str
    sdk: Literal["docker"]
    app_port: int
    pinned: bool
    license: str


# --- GitHub workflows
class Workflow(Struct, forbid_unknown_fields=True):
    """A workflow; `on` is read apart, as YAML takes the word for a truth value."""

    name: str
    on: Any
    permissions: dict[str, str]
    jobs: dict[str, dict[str, Any]]
    concurrency: dict[str, Any] | UnsetType = UNSET
