"""The built page's files, and what is there when nothing was built."""

import gzip
from pathlib import Path

import pytest

from tests.support.dashboard_world import World

SCRIPT = b"console.log(1)\n" * 50


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """Return a folder like the build's output."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><script src=./dashboard/assets/a-1.js>")
    (folder / "assets" / "a-1.js").write_bytes(SCRIPT)
    (folder / "assets" / "a-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "assets" / "b-2.css").write_text("body{}")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret").write_text("outside")
    return folder


async def test_the_page_is_asked_for_anew_each_time(static: Path) -> None:
    world = World(static=static)
    answer = await world.ask("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    again = await world.ask("/", headers={"if-none-match": f'"x", {answer.headers["etag"]}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize(
    ("name", "media_type", "caching"),
    [
        ("assets/a-1.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("assets/b-2.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
        ("favicon.svg", "image/svg+xml", "no-cache"),
    ],
)
async def test_files_named_by_their_content_are_kept_for_good(
    static: Path, name: str, media_type: str, caching: str
) -> None:
    answer = await World("private", static=static).ask(f"/dashboard/{name}")
    assert answer.status == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == caching
    assert answer.body == (static / name).read_bytes()


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [
        ("gzip, br", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("x-gzip-not", False),
    ],
)
async def test_whoever_takes_gzip_gets_it(static: Path, accepted: str, is_gzip: bool) -> None:
    world = World(static=static)
    answer = await world.ask("/dashboard/assets/a-1.js", headers={"accept-encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is is_gzip
    assert (gzip.decompress(answer.body) if is_gzip else answer.body) == SCRIPT
    assert answer.headers["vary"] == "Accept-Encoding"
    again = await world.ask(
        "/dashboard/assets/a-1.js", headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/../secret",
        "/dashboard/assets/../../secret",
        "/dashboard//etc/passwd",
        "/dashboard/assets/",
        "/dashboard/index.html",
        "/dashboard/assets/a-1.js.gz",
        "/assets/a-1.js",
    ],
)
async def test_nothing_but_the_pages_files_is_there(static: Path, path: str) -> None:
    answer = await World(static=static).ask(path)
    assert answer.status == 404
    assert b"outside" not in answer.body


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/dashboard", "./"),
        ("/dashboard/", "../"),
        ("/dashboard?status=failed", "./?status=failed"),
    ],
)
async def test_the_second_address_leads_to_the_page_under_any_sub_path(
    path: str, location: str
) -> None:
    answer = await World().ask(path, headers={"host": "evil.example"})
    assert answer.status == 307
    assert answer.headers["location"] == location


async def test_an_unbuilt_page_says_how_to_build_it_and_the_totals() -> None:
    answer = await World().ask("/")
    text = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "python tools/build_page.py" in text
    assert "页面尚未构建" in text
    assert "<dd>7</dd>" in text
    assert "<script" not in text
    assert "style" not in text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_an_unbuilt_page_tells_strangers_no_totals_where_all_is_private() -> None:
    text = (await World("private").ask("/")).body.decode()
    assert "python tools/build_page.py" in text
    assert "<dd>" not in text
