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
    """Let links that hold in the repository lead to the pages of the site."""
    up, text = "../" * docname.count("/"), source[0]
    if docname.startswith(("benchmarks/", "gallery/results/")):
        text = re.sub(r"\]\((?:\.\./)+docs/", f"]({up}", text)
        if not text.startswith("#"):
            text = f"# {docname.rpartition('/')[2].replace('_', ' ').capitalize()}\n\n{text}"
    else:
        text = re.sub(r"\]\((?:\.\./)+benchmarks/", f"]({up}benchmarks/", text)
    text = re.sub(r"\]\((?:\.\./)+examples/README\.md", f"]({up}gallery/results/README.md", text)
    text = re.sub(r"\]\((?:\.\./)+examples/(\w+)\.py\)", rf"]({up}gallery/\1.md)", text)
    source[0] = text


def setup(app):
    app.connect("builder-inited", copy)
    app.connect("source-read", redirect)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
