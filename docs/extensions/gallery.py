"""A page for every example: what it is, its picture, what it prints, its code.

Those that take seconds are run when the site is built.  The others show the picture and the lines
that are kept in ``figures/examples``, and say how long they take.  An example whose file has not
changed is not run again.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sphinx.errors import ExtensionError
from sphinx.util import logging

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A script of ``examples/``; ``takes`` says how long, for those that are not run here."""

    name: str
    title: str
    takes: str = ""
    helpers: tuple[str, ...] = ()


GROUPS = {
    "Learn a task": (
        Example("sequence_detection", "Which input was first? Only delays are learned"),
        Example("yin_yang", "Yin-Yang with exact spike times", "about a minute"),
        Example("rewiring", "Rewiring and the gradient find delays", "some minutes"),
        Example("yin_yang_delays", "What delays are worth with few neurons",
                "a minute for each network", ("experiment",)),
    ),
    "Find the parameters of neurons and synapses": (
        Example("trace_fitting", "Conductances from voltage traces"),
        Example("fit_neuron", "An adaptive neuron from its spikes", "half a minute"),
        Example("scipy_fit", "A neuron and its delays fitted by SciPy", "half a minute"),
        Example("custom_neuron", "A neuron of your own", "half a minute"),
        Example("short_term_plasticity", "Depressed and facilitated synapses", "half a minute"),
        Example("gap_junctions", "Gap junctions from spikes"),
        Example("positions", "Positions of neurons from conduction delays"),
        Example("optimal_stimulus", "The weakest current for given spike times", "half a minute"),
        Example("learning_rule", "A learning rule learned by its gradient"),
    ),
    "With other libraries": (
        Example("torch_loop", "A layer of PyTorch", "about a minute, and needs PyTorch"),
        Example("jax_loop", "A function of JAX", "about a minute, and needs JAX"),
        Example("nir_export", "To a chip by NIR", "about a minute"),
        Example("yin_yang_mpi", "Several processes train one network",
                "about a minute, and needs an MPI library"),
    ),
    "Real data": (
        Example("braille", "Braille letters under a fingertip",
                "a second per epoch, and needs the published data",
                ("layers", "experiment")),
        Example("digits", "Spoken digits", "ten to thirty seconds per epoch, and needs data",
                ("layers", "experiment")),
        Example("shd", "Spiking Heidelberg Digits", "hours, and needs the published data",
                ("speech_recipe",)),
        Example("ssc", "Spiking Speech Commands", "days, and needs the published data",
                ("speech_recipe",)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Folders of the repository and of the site."""

    docs: Path

    @property
    def examples(self) -> Path:
        return self.docs.parent / "examples"

    @property
    def kept(self) -> Path:
        return self.docs / "figures" / "examples"

    @property
    def pages(self) -> Path:
        return self.docs / "gallery"

    @property
    def runs(self) -> Path:
        return self.docs / "_build" / "examples"


def make(app):
    """Write the pages of all examples, and the one that shows them."""
    places = Places(Path(app.srcdir))
    places.pages.mkdir(exist_ok=True)
    examples = [example for group in GROUPS.values() for example in group]
    with ThreadPoolExecutor(2) as pool:  # scripts in processes of their own
        found = list(pool.map(lambda example: result_of(example, places), examples))
    for example, (picture, printed) in zip(examples, found, strict=True):
        write(places.pages / f"{example.name}.md", page(example, places, picture, printed))
    pictures = {
        example.name: picture for example, (picture, _) in zip(examples, found, strict=True)
    }
    write(places.pages / "index.md", index(places, pictures))


def result_of(example: Example, places: Places) -> tuple[str | None, str]:
    """Return the picture of an example and what it prints, by running it if it takes seconds."""
    run_now = not (example.takes or os.environ.get("DOCS_QUICK"))
    return fresh(example, places) if run_now else kept(example, places)


def kept(example: Example, places: Places) -> tuple[str | None, str]:
    """Return the picture and the lines of an earlier run, where there are any."""
    picture, lines = (places.kept / f"{example.name}.{end}" for end in ("png", "txt"))
    shown = f"/figures/examples/{picture.name}" if picture.exists() else None
    return shown, lines.read_text() if lines.exists() else ""


def fresh(example: Example, places: Places) -> tuple[str, str]:
    """Run an example, unless its file has not changed since, and return the same of it."""
    folder, script = places.runs / example.name, places.examples / f"{example.name}.py"
    printed, digest = folder / "printed.txt", hashlib.sha256(script.read_bytes()).hexdigest()
    stamp = folder / "digest"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(places.docs.parent), "MPLBACKEND": "Agg"}
        done = subprocess.run(
            [sys.executable, script], cwd=folder, env=environment,
            capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        if done.returncode:
            raise ExtensionError(f"{script.name} failed:\n{done.stderr[-3000:]}")
        printed.write_text(done.stdout)
        stamp.write_text(digest)
        logger.info("%s ran in %.0f s", script.name, time.perf_counter() - start)
    pictures = places.pages / "pictures"
    pictures.mkdir(exist_ok=True)
    shutil.copyfile(folder / f"{example.name}.png", pictures / f"{example.name}.png")
    return f"/gallery/pictures/{example.name}.png", printed.read_text()


def described(script: Path) -> tuple[str, str]:
    """Return the first sentence of a script's docstring, and the rest."""
    first, _, rest = ast.get_docstring(ast.parse(script.read_text())).partition("\n\n")
    return first.replace("\n", " "), rest


def page(example: Example, places: Places, picture: str | None, printed: str) -> str:
    """Return the page of an example."""
    first, rest = described(places.examples / f"{example.name}.py")
    parts = [f"# {example.title}", as_markdown(first), as_markdown(rest)]
    if picture:
        parts.append(f":::{{image}} {picture}\n:alt: The picture that {example.name}.py draws\n:::")
    if printed:
        parts.append(f"It prints:\n\n```text\n{printed.rstrip()}\n```")
    if example.takes:
        parts.append(f"It takes {example.takes}. It was not run when this page was built.")
    parts.append(f"## Code\n\n{listing(example.name)}")
    for helper in example.helpers:
        parts.append(f"It imports `examples/{helper}.py`:")
        parts.append(f":::{{dropdown}} {helper}.py\n{listing(helper)}\n:::")
    return "\n\n".join(part for part in parts if part) + "\n"


def as_markdown(text: str) -> str:
    """Return text of a docstring as Markdown: literals, and blocks that are indented."""
    lines = [line if line.startswith("    ") else line.replace("``", "`") for line in
             text.splitlines()]  # fmt: skip
    return "\n".join(lines)


def listing(name: str) -> str:
    return (
        f"```{{literalinclude}} /../examples/{name}.py\n"
        f":language: python\n:caption: examples/{name}.py\n```"
    )


def index(places: Places, pictures: dict) -> str:
    """Return the page with a card for every example."""
    parts = [
        "# Examples",
        "Each is one script, and runs as it stands: `python examples/yin_yang.py`. Those that "
        "take seconds were run when this page was built; their pictures and lines are what they "
        "gave. What is known about accuracy on real data, and what it took, is in "
        "[results](results/README.md).",
    ]
    for title, group in GROUPS.items():
        cards = "\n".join(card(example, pictures[example.name], places) for example in group)
        parts.append(f"## {title}\n\n::::{{grid}} 1 2 3 3\n:gutter: 3\n\n{cards}\n::::")
    names = "\n".join(example.name for group in GROUPS.values() for example in group)
    parts.append(f":::{{toctree}}\n:hidden:\n\n{names}\nResults <results/README>\n:::")
    return "\n\n".join(parts) + "\n"


def card(example: Example, picture: str | None, places: Places) -> str:
    image = f":img-top: ..{picture}\n" if picture else ""
    first, _ = described(places.examples / f"{example.name}.py")
    return (
        f":::{{grid-item-card}} {example.title}\n:link: {example.name}\n:link-type: doc\n"
        f":class-card: gallery-card\n{image}\n{as_markdown(first)}\n:::"
    )


def write(path: Path, text: str) -> None:
    """Write a file, unless that is what it holds: Sphinx reads again what is newer."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app):
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
