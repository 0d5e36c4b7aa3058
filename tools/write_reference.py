"""Write docs/settings.md and docs/settings.zh-CN.md from the settings' source."""

import sys
from pathlib import Path

from llm_proxy.config.reference import page

PAGES = {"en": "settings.md", "zh": "settings.zh-CN.md"}


def main() -> int:
    """Write both pages into docs/ beside this folder."""
    docs = Path(__file__).resolve().parent.parent / "docs"
    for language, name in PAGES.items():
        (docs / name).write_text(page(language), "utf-8")
        print(f"wrote {docs / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
