"""Install the Debian packages the tests use (where root), or say which are missing."""

import os
import shutil
import subprocess
import sys

NEEDS = {"chromium": "chromium"}
LONG_NEEDS = {"debootstrap": "debootstrap"}
BENCH_NEEDS = {"nginx": "nginx-light", "wrk": "wrk"}


def main() -> int:
    """Install what is missing; a package that cannot be had is reported, not fatal."""
    asked = sys.argv[1:]
    needs = (
        NEEDS
        | (BENCH_NEEDS if "--bench" in asked else {})
        | (LONG_NEEDS if "--long" in asked else {})
    )
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [package for tool, package in needs.items() if not shutil.which(tool, path=path)]
    if not missing:
        return 0
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        print(f"not installed, and cannot be from here: {' '.join(missing)}", file=sys.stderr)
        return 0
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing {' '.join(missing)}")
    subprocess.run([apt, "update", "-qq"], check=False, **quiet)  # type: ignore[call-overload]
    command = [apt, "install", "-y", "-qq", "--no-install-recommends", *missing]
    if subprocess.run(command, check=False, env=environment, **quiet).returncode:  # type: ignore[call-overload]
        print(f"could not install {' '.join(missing)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
