"""Generated modules are shared between processes and named after their content."""

import re
import subprocess
import sys
from pathlib import Path

from brian_eventprop.codegen import cache

SOURCE = "from numba import njit\n\n\n@njit(cache=True)\ndef f(x):\n    return x + {}\n"


def test_modules_live_in_the_folder_the_user_names(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    module = cache.load_module(SOURCE.format(1), "test")
    assert module.f(1) == 2
    assert [p.suffix for p in tmp_path.iterdir() if p.is_file()] == [".py"]
    assert cache.load_module(SOURCE.format(1), "test") is module
    assert cache.load_module(SOURCE.format(2), "test").f(1) == 3


def test_a_torn_file_is_written_again(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    cache.load_module(SOURCE.format(3), "torn")
    (path,) = tmp_path.glob("torn*.py")
    path.write_text("def f(")
    sys.modules.pop(path.stem)
    assert cache.load_module(SOURCE.format(3), "torn").f(1) == 4


def test_processes_may_build_at_the_same_time(tmp_path):
    code = (
        "from brian_eventprop.codegen.cache import load_module; "
        f"print(load_module({SOURCE.format(5)!r}, 'shared').f(1))"
    )
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        cache.CACHE_VARIABLE: str(tmp_path),
        "PATH": "",
    }
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [p.communicate(timeout=100)[0].strip() for p in running] == [b"6"] * 3
    assert len(list(tmp_path.glob("*.tmp"))) == 0


def test_all_that_generated_modules_import_is_part_of_their_names():
    """Otherwise an old kernel would be taken after a helper has changed.

    Kernels for CUDA are not kept on disk.
    """
    folder = Path(cache.__file__).parent
    templates = [*folder.parents[1].glob("templates/*.j2"), *folder.parent.glob("templates/*.j2")]
    templates = [t for t in templates if "cuda" not in t.name]
    files = [*templates, *(folder / f"{name}.py" for name in cache.HELPERS)]
    imported = re.compile(r"from brian_eventprop\.codegen\.(\w+) import")
    found = {name for file in files for name in imported.findall(file.read_text())}
    assert templates
    assert found - {"cache"} <= set(cache.HELPERS)  # `cache` itself is no part of a kernel


def test_machine_code_of_helpers_is_kept_by_the_content_of_all(monkeypatch, tmp_path):
    def double(x):
        return 2 * x

    def kept():
        assert cache.njit(cache=True)(double)(2) == 4
        return {path.parts[len(tmp_path.parts)] for path in tmp_path.glob("**/*.nbi")}

    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    first = kept()
    assert len(first) == 1
    monkeypatch.setattr(cache, "_helpers", lambda: "another version")
    assert len(kept() - first) == 1
