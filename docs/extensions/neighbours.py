"""Pages that live elsewhere in the repository: results of benchmarks and of examples.

Pages link to them as they are found in the repository, ``../benchmarks/results/mpi.md``.  For the
site they are copied into a folder of its own, and links lead there.
"""

import re
import shutil
from pathlib import Path

#: Folder of the repository, files of it, and where they go on the site.
COPIED = (
    ("benchmarks", "README.md", "benchmarks"),
    ("benchmarks/results", "*.md", "benchmarks/results"),
    ("benchmarks/results", "*.png", "benchmarks/results"),
    ("examples", "README.md", "gallery/results"),
)


def copy(app):
    """Copy the pages that have changed."""
    docs = Path(app.srcdir)
    for folder, pattern, into in COPIED:
        (docs / into).mkdir(parents=True, exist_ok=True)
        for file in sorted((docs.parent / folder).glob(pattern)):
            copied = docs / into / file.name
            if not copied.exists() or copied.read_bytes() != file.read_bytes():
                shutil.copyfile(file, copied)


def redirect(app, docname, source):
    """Let links to the repository lead to the copies, and name scripts without a link."""
    text = source[0]
    depth = docname.count("/")
    up = "../" * depth
    if docname.startswith("benchmarks/"):
        text = text.replace("](../docs/", "](" + "../" * depth)
        text = text.replace("](../../docs/", "](" + "../" * depth)
    else:
        text = text.replace("](../benchmarks/", f"]({up}benchmarks/")
        text = text.replace("](../examples/README.md", f"]({up}gallery/results/README.md")
    if docname.startswith("benchmarks/") and not text.startswith("#"):
        text = f"# {docname.rpartition('/')[2].replace('_', ' ').capitalize()}\n\n{text}"
    text = re.sub(r"\[([^\]]+)\]\((?:\.\./)*(?:examples|benchmarks)/\w+\.py\)", r"\1", text)
    source[0] = text


def setup(app):
    app.connect("builder-inited", copy)
    app.connect("source-read", redirect)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
