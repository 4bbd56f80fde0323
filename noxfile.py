"""Tests on every supported Python: ``nox``, or ``nox -s tests-3.12`` for one of them."""

import nox

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
    session.run("pytest", "tests/bridges", *session.posargs)
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
