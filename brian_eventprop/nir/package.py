"""The package `nir`, imported when it is needed."""

from __future__ import annotations


def nir_package():
    """Return the module `nir`.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError(
            "the package 'nir' is needed: pip install 'brian-eventprop[nir]', or pip install nir"
        ) from error
    return nir
