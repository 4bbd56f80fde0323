"""Tests on every supported Python: ``nox``, or ``nox -s tests-3.12`` for one of them."""

import nox

#: Any warning is an error, and all of them are shown.
STRICT = ("-W", "--keep-going")

nox.options.sessions = ["lint", "tests"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session):
    """The test suite, as the README runs it; further arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def bridges(session):
    """The bridges to PyTorch and JAX, which the tests leave out where these are not installed."""
    session.install("-e", ".[test,torch,jax]")
    session.run("pytest", "tests/bridges", "tests/docs/test_pages.py", *session.posargs)
    session.run("pytest", "-m", "slow", "tests/project/test_examples.py", "-k", "torch or jax")


@nox.session
def neuromorphic(session):
    """NIR beside the simulators that read it, which the other sessions leave out."""
    session.install("-e", ".[test,torch]", "nirtorch", "snntorch", "norse")
    session.run("pytest", "tests/nir_graph", *session.posargs)
    session.run("pytest", "-m", "slow", "tests/project/test_examples.py", "-k", "nir")


@nox.session
def lint(session):
    """Style, as `.ci/run` checks it."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def docs(session):
    """The site, in ``docs/_build/html``: pages and examples run, any warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", *STRICT, "-b", "html", "docs", "docs/_build/html")


@nox.session
def linkcheck(session):
    """Links to the rest of the web, which needs a network; `docs` checks those between pages."""
    session.install("-e", ".[docs]")
    quick = {"DOCS_QUICK": "1"}
    session.run("sphinx-build", *STRICT, "-b", "linkcheck", "docs", "docs/_build/links", env=quick)


@nox.session
def docs_browser(session):
    """The pages that `docs` has built, opened by Chromium in a wide and in a narrow window."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "slow", "tests/docs", *session.posargs)
