"""What the documentation site does to the pages: the README is its home, links stay whole.

The pages are written to be read in the repository. On the site the README and its neighbours are
pages too, and links to other files of the repository lead to the repository.
"""

import posixpath
import re
from pathlib import Path

from markdown.extensions.toc import slugify_unicode
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "README.zh-CN.md": "index.zh-CN.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository's top folder → what they are on the site."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the same anchors of headings as the repository's viewer does, Chinese ones included."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify_unicode
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/, as if they stood in it."""
    for name, place in PAGES.items():
        text = (ROOT / name).read_text("utf-8")
        files.append(File.generated(config, place, content=_relinked(text, "", config.repo_url)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Lead links that leave docs/ to the site's own page or to the repository."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return _relinked(markdown, "docs", config.repo_url)


def _relinked(text: str, folder: str, repository: str | None) -> str:
    def replace(match: re.Match[str]) -> str:
        link = match[1]
        if re.match(r"[a-z]+:|#", link):
            return match[0]
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(folder, path))
        if target in PAGES:
            target = PAGES[target]
        elif target.startswith("docs/"):
            target = target.removeprefix("docs/")
        else:
            target = f"{repository}/blob/main/{target}"
        return f"]({target}{'#' if anchor else ''}{anchor})"

    text = re.sub(r"\]\(([^)\s]+)\)", replace, text)
    return text.replace('src="docs/', 'src="').replace('srcset="docs/', 'srcset="')
