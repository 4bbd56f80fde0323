"""Generated modules and their machine code on disk, named after their content.

Whatever is wrong with the folder (it is full, read-only, of another user, or its files are
damaged), the kernels are compiled all the same: the cache saves time and nothing else.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import re
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
from brian2 import get_logger
from numba.core import typeinfer
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps, pickle

from brian_eventprop.kernels.inference import with_compared_flags
from brian_eventprop.kernels.linking import PartCompiler, WholeCompiler, without_literals

logger = get_logger(__name__)

_FOLDER = Path(__file__).parent

#: Files that generated modules import, and what these import: their code becomes part of the
#: compiled kernels, and so of the kernels' names on disk.
HELPERS = tuple(
    sorted(file for file in _FOLDER.rglob("*.py") if file.stem not in ("__init__", "cache"))
)

#: Their names as modules.
LIBRARY = frozenset(
    ".".join(("brian_eventprop", "kernels", *file.relative_to(_FOLDER).with_suffix("").parts))
    for file in HELPERS
)

#: Environment variable that names the folder of generated modules.
CACHE_VARIABLE = "BRIAN_EVENTPROP_CACHE"

_DIGEST = hashlib.sha256().digest_size


# ---- the folder ----
def cache_folder() -> Path | None:
    """Return the folder of generated modules, created if need be; None if it cannot be used.

    The folder holds code that is executed, so one that other users may write to is not used.
    """
    try:
        default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(os.environ.get(CACHE_VARIABLE) or default / "brian_eventprop")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unsafe = _written_by_others(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
        _warn(f"The folder of compiled kernels cannot be made ({error})")
        return None
    if unsafe:
        _warn(
            f"The folder of compiled kernels, '{folder}', {unsafe}, and it holds code that is "
            f"executed; make it yours alone (chmod 700 '{folder}')"
        )
        return None
    return folder


def _written_by_others(folder: Path) -> str:
    """Say who else can write to a folder; empty if nobody can."""
    if not hasattr(os, "getuid"):  # Windows, where a mode says nothing
        return ""
    status = folder.stat()
    if status.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    return "may be written to by other users" if status.st_mode & 0o022 else ""


def _warn(problem: str) -> None:
    logger.warn(
        f"{problem}. Kernels are compiled again in every process; the environment variable "
        f"{CACHE_VARIABLE} names another folder.",
        name_suffix="kernel_cache",
        once=True,
    )


def _write(path: Path, content: bytes) -> bool:
    """Write a whole file or none; return whether it was written."""
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        _warn(f"The folder of compiled kernels, '{path.parent}', cannot be written to ({error})")
        return False
    return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def write_checked(path: Path, content: bytes) -> None:
    """Write a file that begins with the digest of the rest."""
    _write(path, hashlib.sha256(content).digest() + content)


def read_checked(path: Path) -> bytes | None:
    """Return the content of such a file; None if there is none, or a damaged one."""
    content = _read(path)
    if content is None or hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    return content[_DIGEST:]


# ---- machine code ----
class KernelCache(_Cache):
    """The compiled versions of one function, a file each, which begins with its digest.

    Numba's own cache stops with an error at a damaged file, and cannot know that a function of
    another module, whose code has become a part of this one's, has changed.
    """

    def __init__(self, function):
        self._function = function

    @property
    def cache_path(self) -> str | None:
        """The folder in which the files lie."""
        folder = cache_folder()
        return None if folder is None else str(folder / "compiled")

    def load_overload(self, sig, target_context):
        """Return a compiled version from the disk, None if there is no usable one."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        content = None if path is None else read_checked(path)
        if content is None:
            return None
        return CompileResult._rebuild(target_context, *pickle.loads(content))

    def save_overload(self, sig, data) -> None:
        """Write a compiled version, unless it holds addresses of this process."""
        path = self._path(sig, data.codegen)
        if path is None or data.library.has_dynamic_globals or data.lifted:
            return
        write_checked(path, dumps(data._reduce()))

    def enable(self) -> None:
        """Do nothing: a cache that is not wanted is not made."""

    disable = flush = enable

    def _path(self, sig, codegen) -> Path | None:
        if self.cache_path is None:
            return None
        name = f"{self._function.__module__}.{self._function.__qualname__}"
        content = _content(self._function)
        key = "\n".join((name, content, repr(sig), repr(codegen.magic_tuple())))
        short = re.sub(r"[^\w.]", "", name.removeprefix("brian_eventprop."))
        digest = hashlib.sha256(key.encode()).hexdigest()[:20]
        return Path(self.cache_path) / f"{short}_{digest}.nbc"


def _content(function) -> str:
    """Return what the machine code of a function depends on, besides types and processor."""
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    code = function.__code__
    source = "".join(linecache.getlines(code.co_filename))
    return "\n".join((source, code.co_code.hex(), dumps(cells).hex(), helpers_source()))


@lru_cache
def helpers_source() -> str:
    """Return a digest of what the helpers' machine code depends on besides each file itself."""
    texts = (file.read_text() for file in HELPERS)
    whole = "\n".join((*texts, numba.__version__, np.__version__, sys.version))
    return hashlib.sha256(whole.encode()).hexdigest()


def njit(*signatures, cache: bool = False, **options):
    """Compile a function as `numba.njit` does; with `cache`, the machine code is kept on disk.

    Numba would take machine code from the disk unless the very file has changed.  A function of
    another helper may be a part of it, so here it is kept by the content of all of them.
    """
    options = {"pipeline_class": WholeCompiler} | options
    compiled = numba.njit(**options)

    def decorated(function):
        dispatcher = compiled(function)
        if not isinstance(dispatcher, Dispatcher):  # compilation is switched off
            return dispatcher
        with_compared_flags(dispatcher)
        if options.get("pipeline_class") is PartCompiler:
            without_literals(dispatcher)
        if cache:
            dispatcher._cache = KernelCache(function)
        if signatures:
            with typeinfer.register_dispatcher(dispatcher):
                for signature in signatures:
                    dispatcher.compile(signature)
                dispatcher.disable_compile()
        return dispatcher

    return decorated


# ---- generated modules ----
def load_module(source: str, tag: str) -> ModuleType:
    """Import a generated module; its text is written to the disk, where a debugger finds it."""
    name = _module_name(source, tag)
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = _written(source, name)
    module.__generated__ = source, tag
    sys.modules[name] = module
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def source_file(source: str, tag: str) -> tuple[str, str]:
    """Return the name of a generated module and the file with its text."""
    name = _module_name(source, tag)
    return name, _written(source, name)


def _module_name(source: str, tag: str) -> str:
    key = "\n".join((source, helpers_source()))
    return f"{tag}_{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def _written(source: str, name: str) -> str:
    """Return the file with the text of a module; without a usable folder it is kept in memory."""
    folder, content = cache_folder(), source.encode()
    if folder is not None:
        path = folder / f"{name}.py"
        if _read(path) == content or _write(path, content):
            return str(path)
    linecache.cache[f"<{name}>"] = len(source), None, source.splitlines(keepends=True), f"<{name}>"
    return f"<{name}>"
