"""Serves the built page: `index.html` at `/`, everything else below `/dashboard/`.

The files are read once, at the start, and looked up by name: no request reaches the file system,
so none can leave the folder. Names in `assets/` carry a hash of their content and are kept by
browsers for good; the page itself is asked for anew each time and answered with 304.
"""

from hashlib import sha256
from html import escape
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .answer import Problem
from .context import DashboardContext

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Our own table: the machine's may call a script `text/plain`, which browsers then refuse."""

_UNBUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LLM Proxy</title>
<h1>LLM Proxy {version}</h1>
<p>The proxy works; its page has not been built. Build it with
<code>python tools/build_page.py</code>, then restart.</p>
<p lang="zh">代理工作正常，但页面尚未构建。请运行 <code>python tools/build_page.py</code> 后重新启动。</p>
{totals}</html>
"""
_TOTALS = """<dl>
<dt>Requests / <span lang="zh">请求</span></dt><dd>{0.requests}</dd>
<dt>Succeeded / <span lang="zh">成功</span></dt><dd>{0.ok}</dd>
<dt>Rescued by retry / <span lang="zh">重试挽回</span></dt><dd>{0.rescued}</dd>
<dt>Failed / <span lang="zh">失败</span></dt><dd>{0.failed}</dd>
</dl>
"""


class Asset(msgspec.Struct, frozen=True):
    """One file of the page.

    Attributes:
        body: Its bytes.
        gzipped: The same compressed, where the build made it; else None.
        media_type: For `Content-Type`.
        etag: Strong validator, quotes included.
    """

    body: bytes
    gzipped: bytes | None
    media_type: str
    etag: str


def read_assets(folder: Path) -> dict[str, Asset]:
    """Return every file below `folder` by its relative name; empty where nothing was built."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assets = {}
    for name, path in files.items():
        if name.endswith(".gz") and name[:-3] in files:
            continue
        body = path.read_bytes()
        compressed = files.get(name + ".gz")
        assets[name] = Asset(
            body,
            compressed.read_bytes() if compressed else None,
            _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
            f'"{sha256(body).hexdigest()[:32]}"',
        )
    return assets


class Page:
    """The handlers of the page's files; none of them needs sign-in, as none holds data."""

    def __init__(self, context: DashboardContext, assets: dict[str, Asset]) -> None:
        self._context = context
        self._assets = assets

    async def index(self, request: Request) -> Response:
        """Answer `GET /`."""
        if INDEX not in self._assets:
            return Response(self._unbuilt(), media_type="text/html")
        return _send(request, self._assets[INDEX], _ASK_AGAIN)

    async def home(self, request: Request) -> Response:
        """Answer `GET /dashboard` and `/dashboard/`: the page lies one level higher."""
        query = request.scope["query_string"].decode("latin-1")
        up = "../" if request.scope["path"].endswith("/") else "./"
        return Response(status_code=307, headers={"Location": up + (query and f"?{query}")})

    async def asset(self, request: Request) -> Response:
        """Answer `GET /dashboard/{name}`."""
        name = request.path_params["name"]
        asset = self._assets.get(name)
        if asset is None or name == INDEX:
            raise Problem(404, "the page has no such file")
        return _send(request, asset, _FOR_GOOD if name.startswith("assets/") else _ASK_AGAIN)

    def _unbuilt(self) -> str:
        is_public = self._context.mode == "summary"
        totals = _TOTALS.format(self._context.totals()) if is_public else ""
        return _UNBUILT.format(version=escape(self._context.version), totals=totals)


def _send(request: Request, asset: Asset, caching: str) -> Response:
    headers = {"ETag": asset.etag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    known = request.headers.get("if-none-match", "")
    if asset.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if asset.gzipped is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        # A weak validator: the same content in other bytes.
        headers["ETag"] = f"W/{asset.etag}"
        body = asset.gzipped
    return Response(body, media_type=asset.media_type, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return False
