"""Generated modules are shared between processes and named after their content."""

import subprocess
import sys

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
