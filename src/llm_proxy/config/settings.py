"""Every setting: its type, its default and what it means.

The docstrings below are the reference page (docs/settings.md and its Chinese twin are generated
from them). Each has an English and, after `中文：`, a Chinese text. A variable's name is the
field's name in capitals; the file spells it in small letters.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from llm_proxy.domain.secret import AccessKey, Secret
from llm_proxy.domain.target import Timeouts, Upstream

from .kinds import (
    FORMATS,
    Choice,
    Folder,
    Lists,
    Origins,
    Pairs,
    Seconds,
    Special,
    Switch,
    WebAddress,
    Whole,
)
from .prices import OwnPrice


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective configuration. Made by `load.load`; replaced whole, never changed."""

    # --- Upstreams | 上游
    proxy_url: Annotated[
        tuple[str, ...],
        Special("addresses, comma-separated", "地址，用逗号分隔", "https://api.example.com/v1"),
    ] = ()
    """Address of the provider; several are separated by commas. With or without `/v1` or a slash
    at the end; another version root (`…/api/v3`, `…/api/paas/v4`) is kept as it is, and a whole
    endpoint (`…/v1/chat/completions`) is cut back. Required, unless the file has `[[upstream]]`
    tables; without either, `llm-proxy demo` runs with a built-in provider.

    中文：上游 API 地址，多个用逗号分隔。有没有 `/v1` 或末尾斜杠都可以；其他版本根
    （`…/api/v3`、`…/api/paas/v4`）保持原样；完整接口地址（`…/v1/chat/completions`）会自动截短。
    必填，除非配置文件里有 `[[upstream]]`；两者都没有时可用 `llm-proxy demo` 试用内置上游。
    """

    api_key: Annotated[
        tuple[Secret | None, ...],
        Special(
            "keys, comma-separated, or `none`",
            "密钥，用逗号分隔，或 `none`",
            "sk-upstream-1,sk-upstream-2",
        ),
    ] = ()
    """Key of the provider. One address with several keys is a key pool; as many keys as addresses
    pair by position (the same address may stand several times); one key serves all addresses. Any
    other combination is refused. `none` where the provider wants no key. Required.

    中文：上游密钥。一个地址配多个密钥就是密钥池；密钥数与地址数相同时按位置配对（同一地址可重复出现）；
    一个密钥可用于所有地址；其他组合会被拒绝。上游不需要密钥时写 `none`。必填。
    """

    proxy_formats: Annotated[
        tuple[tuple[str, ...], ...],
        Lists(
            FORMATS,
            "auto",
            "chat,responses",
            "any of `chat`, `messages`, `responses`, comma-separated, or `auto`",
            "`chat`、`messages`、`responses` 中的若干个，用逗号分隔，或 `auto`",
        ),
    ] = ((),)
    """Formats the upstreams speak. One list for all, or one per address as written in `PROXY_URL`,
    separated by semicolons (`chat;messages`). `auto` knows some hosts; any other upstream is taken
    to speak what the client sends. Requests in another format are translated to the first of the
    list; see [compatibility](compatibility.md).

    中文：上游支持的 API 格式。可为所有地址写一份，也可按 `PROXY_URL` 的书写顺序每个地址一份，
    用分号分隔（`chat;messages`）。`auto`：已知的主机按内置表判断，其余视为与客户端所用格式一致。
    其他格式的请求译为列表中的第一种，见[兼容性](compatibility.zh-CN.md)。
    """

    proxy_models: Annotated[
        tuple[tuple[str, ...], ...],
        Lists(
            (),
            "*",
            "gpt-*,o3",
            "model names, comma-separated, `*` allowed",
            "模型名，用逗号分隔，可用 `*`",
        ),
    ] = ((),)
    """Models the upstreams serve, as they call them. One list for all, or one per address,
    separated by semicolons. A model that no upstream serves is answered with 404.

    中文：上游提供的模型（上游自己的名称）。一份用于所有地址，或每个地址一份，用分号分隔。
    没有任何上游提供的模型返回 404。
    """

    model_map: Annotated[tuple[tuple[str, str], ...], Pairs("claude-*=gpt-5,fast=qwen3")] = ()
    """Other names for models, applied on the way up; `*` is allowed on the left, the first match
    wins.

    中文：模型改名，发往上游时生效；左侧可用 `*`，先匹配者优先。
    """

    model_fallbacks: Annotated[tuple[tuple[str, str], ...], Pairs("gpt-5=claude-opus-5")] = ()
    """Another model for when every upstream and key has failed with the one asked for; named as
    clients name it. It may have one of its own. The answer names the model that answered.

    中文：所请求的模型在所有上游和密钥上都失败后改试的模型，按客户端使用的名称填写；可以继续串联。
    响应中的模型名是实际作答的模型。
    """

    outbound_proxy: Annotated[
        Secret | None,
        Special(
            "`http://…` or `socks5://…`", "`http://…` 或 `socks5://…`", "socks5://127.0.0.1:1080"
        ),
    ] = None
    """Proxy through which upstreams are reached. Without it `HTTPS_PROXY`, `HTTP_PROXY` and
    `ALL_PROXY` are honoured, except for upstreams on this machine. `NO_PROXY` is always honoured.

    中文：访问上游所用的代理。未设置时遵循 `HTTPS_PROXY`、`HTTP_PROXY`、`ALL_PROXY`（本机上游除外）；
    `NO_PROXY` 始终有效。
    """

    # --- Access | 访问
    my_access_key: Annotated[
        tuple[AccessKey, ...],
        Special(
            "keys, comma-separated, each may be named (`name:key`)",
            "密钥，用逗号分隔，可命名（`名称:密钥`）",
            "phone:my-first-long-secret,friend:my-second-long-secret",
        ),
    ] = ()
    """Keys that clients must present; a name in front shows in the records. The first key is the
    owner's: it alone sees everybody's requests. Required where other machines can reach the proxy;
    on a loopback `HOST` and in the demo a generated key is kept in `DATA_DIR/access-key`.

    中文：客户端必须提供的密钥；前面的名称会显示在记录中。第一个密钥属于所有者，只有它能看到所有人的请求。
    其他机器可以访问本服务时必填；`HOST` 为本机回环地址或演示模式下，会自动生成并保存在 `DATA_DIR/access-key`。
    """

    cors_origins: Annotated[tuple[str, ...], Origins("https://app.example.com")] = ("*",)
    """Origins whose browser pages may call `/v1/*`; never with credentials.

    中文：允许在浏览器中调用 `/v1/*` 的网页来源；从不携带凭据。
    """

    # --- Retries and timeouts | 重试与超时
    max_retries: Annotated[int, Whole(0, 100, "5")] = 3
    """Further attempts after the first, over all upstreams and keys, per request; 0 = one attempt.

    中文：首次失败后最多再尝试的次数（所有上游和密钥合计，按单个请求）；0 = 只尝试一次。
    """

    stream_rescue: Annotated[bool, Switch("on")] = False
    """Let a text that broke off in mid-stream go on at another target or fallback model, within the
    same stream. See [faults](faults.md). Never for tool calls, thinking, JSON output, several
    choices; at most twice per request, within `MAX_RETRIES`. Every attempt's tokens are paid.

    中文：文本流中途断开时，在其他目标或备用模型上续写，客户端看到的仍是同一个流，详见[故障说明](faults.md)。
    工具调用、思考、JSON 输出与多个候选不会续写；每个请求最多两次，计入 `MAX_RETRIES`；每次尝试的 token 都会计费。
    """

    connect_timeout_s: Annotated[float, Seconds("5")] = 3.0
    """Name resolution, TCP and TLS of one attempt, together.

    中文：单次尝试的域名解析、TCP 与 TLS 建连总时限。
    """

    upstream_timeout_s: Annotated[float, Seconds("300")] = 600.0
    """From the request's last byte to the answer's head; for JSON answers to the end of the body.

    Where a stream was asked for, 200 s without any event are the most, as clients give up then.

    中文：从请求发送完毕到收到响应头的时限；JSON 响应则到正文结束。请求流式输出时，最多等待 200 秒没有任何事件，因为客户端那时会放弃。
    """

    first_token_timeout_s: Annotated[float, Seconds("30")] = 0.0
    """Streams: to the first content.

    中文：流式响应：到首个内容的时限。
    """

    stream_idle_timeout_s: Annotated[float, Seconds("60")] = 120.0
    """Streams: longest silence after content.

    中文：流式响应：开始输出后允许的最长静默。
    """

    request_timeout_s: Annotated[float, Seconds("900")] = 600.0
    """The whole request with all its attempts, until content reaches the client.

    中文：整个请求（含所有重试）在内容到达客户端之前的总时限。
    """

    # --- Listening | 监听
    host: Annotated[str, Special("an address of this machine", "本机地址", "127.0.0.1")] = "0.0.0.0"  # noqa: S104
    """Address to listen on; `127.0.0.1` keeps other machines out.

    中文：监听地址；`127.0.0.1` 表示只允许本机访问。
    """

    port: Annotated[int, Whole(0, 65535, "8080")] = 8000
    """Port to listen on; 0 = any free one.

    中文：监听端口；0 = 任意空闲端口。
    """

    max_body_mb: Annotated[int, Whole(1, 512, "32")] = 64
    """Largest request body, in MB.

    中文：请求正文上限（MB）。
    """

    max_connections: Annotated[int, Whole(1, 1_000_000, "2000")] = 10_000
    """Client connections open at once.

    中文：同时打开的客户端连接数上限。
    """

    max_concurrency: Annotated[int, Whole(1, 1_000_000, "500")] = 2_000
    """Requests in flight; more wait a short while, then get 503 with `Retry-After`.

    中文：同时处理的请求数；超出者短暂等待，仍无空位则返回 503 和 `Retry-After`。
    """

    path_repair: Annotated[bool, Switch("off")] = True
    """Tolerate mistakes in a client's address: a missing or doubled `/v1`, a doubled endpoint.

    中文：容忍客户端地址的常见错误：缺少或重复的 `/v1`、重复的接口路径等。
    """

    drain_timeout_s: Annotated[float, Seconds("25", ("do not wait", "不等待"))] = 60.0
    """How long open streams may finish after SIGTERM.

    中文：收到 SIGTERM 后，未完成的流最多可继续多久。
    """

    workers: Annotated[int, Whole(1, 256, "1")] = 1
    """Processes on this machine. More than 1 is not available yet and stops the start.

    中文：本机进程数。大于 1 尚未提供，将拒绝启动。
    """

    # --- Records | 记录
    data_dir: Annotated[Path, Folder("/var/lib/llm-proxy")] = Path("data")
    """Folder of the request records; made if missing, and the only place written to (`/data` in
    the image). If it cannot be written, records live in memory and are lost at restart.

    中文：请求记录所在文件夹；不存在时自动创建，也是唯一会写入的位置（镜像中为 `/data`）。
    不可写时记录只存在内存中，重启后丢失。
    """

    retention_days: Annotated[int, Whole(1, 3650, "90")] = 30
    """How long request records stay, in days.

    中文：请求记录保留天数。
    """

    database_url: Annotated[
        Secret | None,
        Special("`postgresql://…`", "`postgresql://…`", "postgresql://user:password@db/llm"),
    ] = None
    """PostgreSQL for several machines. Not available yet: setting it stops the start.

    中文：多机共用的 PostgreSQL。尚未提供：设置后将拒绝启动。
    """

    redis_url: Annotated[
        Secret | None, Special("`redis://…`", "`redis://…`", "redis://cache:6379/0")
    ] = None
    """Redis or Valkey for several machines. Not available yet: setting it stops the start.

    中文：多机共用的 Redis/Valkey。尚未提供：设置后将拒绝启动。
    """

    # --- Page, metrics and log | 页面、指标与日志
    dashboard: Annotated[
        str,
        Choice(
            ("summary", "private", "off"),
            "private",
            {"on": "summary", "false": "off", "0": "off", "no": "off"},
        ),
    ] = "summary"
    """The page at `/`: `summary` shows totals and uptime to anyone and everything else with the
    access key, `private` shows all only with the key, `off` has no page.

    中文：`/` 处的页面：`summary` 任何人可见汇总和运行时间，其余需要访问密钥；`private` 全部需要密钥；
    `off` 关闭页面。
    """

    metrics_public: Annotated[bool, Switch("on")] = False
    """Serve `/metrics` without the access key.

    中文：`/metrics` 是否无需访问密钥。
    """

    log_level: Annotated[
        str, Choice(("debug", "info", "warning", "error"), "warning", {"warn": "warning"})
    ] = "info"
    """Least severe lines that are logged.

    中文：日志级别。
    """

    log_format: Annotated[str, Choice(("console", "json"), "json")] = "console"
    """Lines for people or one JSON object per line.

    中文：日志格式：供人阅读，或每行一个 JSON 对象。
    """

    alert_webhook_url: Annotated[
        Secret | None, WebAddress("https://open.feishu.cn/open-apis/bot/v2/hook/your-token")
    ] = None
    """Where alerts are posted: a key is refused or out of credit, an upstream is down, records are
    being lost, and the end of each. The whole address is treated as a secret.

    中文：告警推送地址：密钥被拒或欠费、上游故障、记录丢失及其恢复时推送。整个地址按机密处理。
    """

    alert_webhook_format: Annotated[
        str,
        Choice(("auto", "json", "feishu", "dingtalk", "wecom", "telegram", "slack"), "json", {}),
    ] = "auto"
    """The shape the receiver understands; `auto` goes by the address's host, `json` is plain.

    中文：推送格式；`auto` 按地址的主机名判断，`json` 为通用格式。
    """

    # --- What follows from them; no settings of their own.
    upstreams: tuple[Upstream, ...] = ()
    """Where requests can go, keys included."""

    prices: tuple[OwnPrice, ...] = ()
    """The user's own prices, the first match counts."""

    access_keys: tuple[AccessKey, ...] = ()
    """`my_access_key`, or the generated key."""

    has_new_key: bool = False
    """Whether the access key was generated by this very start and must be shown once."""

    config_path: Path | None = None
    """The file that was read."""

    repairs: tuple[str, ...] = ()
    """What was repaired in the values, each said once, without secrets."""

    warnings: tuple[str, ...] = ()
    """What is probably a mistake, without secrets."""

    origins: dict[str, str] = {}
    """Setting → `environment`, `file`, `default`, or `generated` (the access key)."""

    @property
    def timeouts(self) -> Timeouts:
        """Return the limits of one attempt, as upstreams without their own have them."""
        return Timeouts(
            connect_s=self.connect_timeout_s,
            upstream_s=self.upstream_timeout_s,
            first_token_s=self.first_token_timeout_s,
            stream_idle_s=self.stream_idle_timeout_s,
        )


DERIVED = frozenset((
    "upstreams", "prices", "access_keys", "has_new_key", "config_path", "repairs", "warnings",
    "origins",
))  # fmt: skip
"""Fields that no variable sets."""

NAMES = tuple(name for name in Settings.__struct_fields__ if name not in DERIVED)
"""Every setting, in the order of the reference page."""

NEED_RESTART = frozenset((
    "host", "port", "data_dir", "max_connections", "workers", "database_url", "redis_url",
    "dashboard", "log_level", "log_format", "retention_days",
))  # fmt: skip
"""Settings that a reload cannot change: their sockets, files and threads are made at the start."""
