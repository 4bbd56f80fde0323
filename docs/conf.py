"""Settings of the site: ``nox -s docs`` builds it into ``docs/_build/html``."""

import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

import brian_eventprop  # noqa: E402

project = "brian-eventprop"
copyright = "the authors of brian-eventprop; CeCILL 2.1"
version = release = brian_eventprop.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "gallery",
    "neighbours",
    "references",
]
if os.environ.get("DOCS_ONLINE"):  # inventories of other packages come over the network
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "brian2": ("https://brian2.readthedocs.io/en/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }
templates_path = ["_templates"]
exclude_patterns = ["_build", "figures", "extensions", "_templates"]
default_role = "py:obj"
nitpicky = True
toc_object_entries_show_parents = "hide"

# ---- pages with code, which is run when the site is built ----
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
#: A look at the text only, ``DOCS_QUICK=1``: no page and no example is run.
quick = bool(os.environ.get("DOCS_QUICK"))
nb_execution_mode = "off" if quick else "cache"  # a page that has not changed is not run again
suppress_warnings = ["myst-nb.lexer"] if quick else []
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_execution_show_tb = True
nb_merge_streams = True
#: Bars, and "Compiling ...: 3 s so far", move for who looks on; a page would keep every state.
os.environ.setdefault("BRIAN_EVENTPROP_PROGRESS", "off")

# ---- the reference of all public names ----
autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_mock_imports = [name for name in ("torch", "jax") if importlib.util.find_spec(name) is None]
numpydoc_show_class_members = False
numpydoc_validation_checks = set()

# ---- how it looks ----
html_theme = "pydata_sphinx_theme"
html_title = "brian-eventprop"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "brian-eventprop"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "default",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": []}
linkcheck_ignore = [r"https://doi\.org/.*"]  # publishers refuse programs
linkcheck_timeout = 20
linkcheck_workers = 8
