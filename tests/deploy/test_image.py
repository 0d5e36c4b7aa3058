"""The image, built by its own Dockerfile and run as platforms run it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.image import Stage, build, included, read_steps

ROOT = Path(__file__).parents[2]
PORT = 9999
KEY = "sk-the-access-key-of-this-test"


def test_the_dockerfile_says_what_platforms_ask_for() -> None:
    steps = read_steps(ROOT / "Dockerfile")
    said = {step.name: step.text for step in steps}
    assert said["EXPOSE"] == "8000"
    assert said["USER"] == "10001:10001"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert '"llm-proxy", "health"' in said["HEALTHCHECK"]
    assert "VOLUME" not in said  # platforms refuse it, or hand out an empty one at each deployment


def test_the_images_context_holds_sources_and_no_secrets() -> None:
    names = {str(path) for path in included(ROOT)}
    assert {"pyproject.toml", "hatch_build.py", "tools/build_page.py", "README.md"} <= names
    assert "src/llm_proxy/app.py" in names
    assert "web/package-lock.json" in names
    assert not [name for name in names if name.startswith((".git", "tests", "data", ".env"))]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The built image."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    return build(ROOT, tmp_path_factory.mktemp("image"))


@contextlib.contextmanager
def running(image: Stage, *, has_data: bool) -> Iterator[subprocess.Popen[str]]:
    """Run the image: its user, its root read-only, `PORT` from the platform."""
    root = image.root
    steps = [f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
    if has_data:
        steps.append(f"mount -t tmpfs -o mode=700,uid=10001,gid=10001 none {root}/data")
    steps += [
        f"mount -o remount,bind,ro {root}",
        f"exec chroot --userspec={image.settings['USER']} {root} llm-proxy demo",
    ]
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-ec", "; ".join(steps)],
        env=image.environment | {"PORT": str(PORT), "MY_ACCESS_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(method: str, path: str, body: object = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    headers = {"authorization": f"Bearer {KEY}"}
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def wait_until_it_serves() -> None:
    ends_at = time.monotonic() + 20
    while True:
        try:
            assert ask("GET", "/health")[0] == 200
            return
        except OSError:
            assert time.monotonic() < ends_at, "it does not serve"
            time.sleep(0.05)


@pytest.mark.long
@pytest.mark.parametrize("has_data", [True, False], ids=["with /data", "without /data"])
def test_the_image_serves_read_only_and_ends_in_order(image: Stage, has_data: bool) -> None:
    with running(image, has_data=has_data) as process:
        wait_until_it_serves()
        status, text = ask(
            "POST",
            "/v1/chat/completions",
            {"model": "any", "messages": [{"role": "user", "content": "hi"}]},
        )
        assert status == 200, text
        status, page = ask("GET", "/")
        assert status == 200
        assert "<script" in page  # the page was built in
        health = subprocess.run(
            ["chroot", "--userspec=10001:10001", str(image.root), "llm-proxy", "health"],
            env=image.environment | {"PORT": str(PORT)},
            check=False,
        )
        assert health.returncode == 0
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0, said
        assert ("memory" in said.lower()) is not has_data, said


@pytest.mark.long
def test_the_image_adds_little_to_python(image: Stage) -> None:
    files = [path for path in (image.root / "app").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if not path.is_symlink()) < 40_000_000
    assert not list((image.root / "app").rglob("pip"))
