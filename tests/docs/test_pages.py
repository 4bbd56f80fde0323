"""Links between pages hold in the repository, and the script with PyTorch runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE = ("_build", "api/generated", "benchmarks", "gallery")  # by the build
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not page.relative_to(DOCS).as_posix().startswith(MADE)
]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)[^)\s]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    targets = [page.parent / target for target in LINK.findall(text)]
    missing = {target for target in targets if not target.exists()}
    # the page that shows all examples is made when the site is built
    assert missing <= {page.parent / "../gallery/index.md"}


def test_pages_of_sections_are_listed():
    for index in DOCS.glob("*/index.md"):
        if index.relative_to(DOCS).as_posix().startswith(MADE):
            continue
        listed = set(index.read_text().split())
        pages = {page.stem for page in index.parent.glob("*.md")} - {"index"}
        assert pages <= listed


def test_the_script_with_torch_runs():
    torch = pytest.importorskip("torch")
    (script,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "how_to" / "pytorch.md").read_text(), re.DOTALL
    )
    names = {}
    exec(script, names)
    assert names["loss"] < 0.1 and torch.isfinite(names["loss"])
