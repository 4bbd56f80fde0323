#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox"]
# ///
"""Tests on every supported version: ``nox``, or ``nox -s tests-3.12`` for one of them."""

from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"

#: Versions of Brian2, what they need beside them, and the versions of Python that they have.
BRIAN2 = {
    "2.9": (["numpy<2.4"], ["3.11", "3.12", "3.13"]),  # it reads `ndarray.ptp`, gone in NumPy 2.4
    "2.10": ([], ["3.12", "3.13", "3.14"]),
}
#: What shows soon whether a version of a dependency fits: reading, both solvers, all readouts.
SELECTION = ["tests/test_against_brian2.py", "tests/test_front_door.py", "tests/reading"]
#: Any warning is an error, and all of them are shown.
STRICT = ("-W", "--keep-going")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session):
    """The test suite, as the README runs it; further arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(default=False)
@nox.parametrize(
    "python, version",
    [(python, version) for version, (_, pythons) in BRIAN2.items() for python in pythons],
)
def brian2(session, version):
    """Every version of Brian2 on every Python that it has: a selection of the tests."""
    session.install("-e", ".[test]", f"brian2=={version}.*", *BRIAN2[version][0])
    session.run("pytest", "-n", "auto", *(session.posargs or SELECTION))


@nox.session(python="3.11", default=False, venv_backend="uv")
def oldest(session):
    """The oldest versions that pyproject.toml allows: a selection of the tests."""
    session.install("pytest", "pytest-xdist", "hypothesis")
    session.install("--resolution=lowest-direct", "-e", ".[fit,nir]")
    session.run("pytest", *(session.posargs or SELECTION))


@nox.session(default=False)
def bridges(session):
    """The bridges to PyTorch and JAX, which the tests leave out where these are not installed."""
    session.install("-e", ".[test,torch,jax]")
    session.run("pytest", "tests/bridges", "tests/docs/test_pages.py", *session.posargs)
    session.run("pytest", "-m", "slow", "tests/project/test_examples.py", "-k", "torch or jax")


@nox.session(default=False)
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


@nox.session(default=False)
def docs(session):
    """The site, in ``docs/_build/html``: pages and examples run, any warning is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", *STRICT, "-b", "html", "docs", "docs/_build/html")


@nox.session(default=False)
def linkcheck(session):
    """Links to the rest of the web, which needs a network; `docs` checks those between pages."""
    session.install("-e", ".[docs]")
    quick = {"DOCS_QUICK": "1"}
    session.run("sphinx-build", *STRICT, "-b", "linkcheck", "docs", "docs/_build/links", env=quick)


@nox.session(default=False)
def docs_browser(session):
    """The pages that `docs` has built, opened by Chromium in a wide and in a narrow window."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "slow", "tests/docs", *session.posargs)


@nox.session(default=False)
def types(session):
    """Types of the public face, in pyright's basic mode."""
    session.install("-e", ".[fit,nir]", "basedpyright")
    session.run("basedpyright", *session.posargs)


@nox.session(default=False, venv_backend="uv")
def wheel(session):
    """A wheel works outside of the checkout: both solvers run a small network from it."""
    folder = session.create_tmp()
    program = Path("tests/project/outside_checkout.py").resolve()
    session.install("build", "pip")
    session.run("python", "-m", "build", "--outdir", folder)
    session.install("--reinstall-package=brian-eventprop", str(max(Path(folder).glob("*.whl"))))
    session.run("python", "-m", "pip", "check")
    session.chdir(folder)
    session.run("python", str(program))


@nox.session(default=False)
def review(session):
    """Scientific Python's review of how the project is set up."""
    session.install("repo-review", "sp-repo-review", "validate-pyproject")
    session.run("repo-review", ".")


if __name__ == "__main__":
    nox.main()
