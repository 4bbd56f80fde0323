"""Generated modules are shared between processes and named after their content."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from brian_eventprop.kernels import cache

SOURCE = """from brian_eventprop.kernels.cache import njit


@njit(cache=True)
def f(x):
    return x + {}
"""


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
        "from brian_eventprop.kernels.cache import load_module; "
        f"print(load_module({SOURCE.format(5)!r}, 'shared').f(1))"
    )
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        cache.CACHE_VARIABLE: str(tmp_path),
        "PATH": "",
    }
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [p.communicate(timeout=100)[0].strip() for p in running] == [b"6"] * 2
    assert len(list(tmp_path.glob("*.tmp"))) == 0


def test_all_that_generated_modules_import_is_part_of_their_names():
    """Otherwise an old kernel would be taken after a helper has changed.

    Kernels for CUDA are not kept on disk.
    """
    folder = Path(cache.__file__).parents[1]
    templates = [*folder.parent.glob("templates/**/*.j2"), *folder.glob("templates/**/*.j2")]
    templates = [t for t in templates if "cuda" not in t.parts]
    imported = re.compile(r"from (brian_eventprop\.[\w.]+) import")
    files = (*templates, *cache.HELPERS)
    found = {name for file in files for name in imported.findall(file.read_text())}
    assert templates
    # `cache` itself is no part of a kernel
    assert found - {"brian_eventprop.kernels.cache"} <= cache.LIBRARY


def test_machine_code_of_helpers_is_kept_by_the_content_of_all(monkeypatch, tmp_path):
    def double(x):
        return 2 * x

    def kept():
        assert cache.njit(cache=True)(double)(2) == 4
        return set(tmp_path.glob("**/*.nbc"))

    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    first = kept()
    assert len(first) == 1
    assert kept() == first
    monkeypatch.setattr(cache, "helpers_source", lambda: "another version")
    assert len(kept() - first) == 1


PROGRAM = f"""
import os, sys
from brian_eventprop.kernels import cache
for number, folder in enumerate(sys.argv[1:]):
    os.environ[cache.CACHE_VARIABLE] = folder
    print(cache.load_module({SOURCE!r}.format(10 * number + 7), "kept").f(1))
    print(cache.load_module({SOURCE!r}.format(10 * number + 8), "kept").f(1))
"""


def run_program(*folders):
    """Load two modules for each folder in a new process; return what it printed and logged."""
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *folders], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split(), done.stderr


def damage_files(damage, whole):
    """Spoil all files, whose content is given, in the way that is named."""
    for path, content in whole.items():
        half = len(content) // 2
        changed = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            named = {"cut off": content[:half], "foreign": b"\xff\xfe", "empty": b""}
            path.write_bytes(named.get(damage, changed))


def test_damaged_files_are_made_again(tmp_path):
    """Every damage is done to a folder of its own; one process looks at all of them."""
    folders = {tmp_path / d: d for d in ("cut off", "foreign", "empty", "changed", "folder")}
    expected = [str(10 * n + k) for n in range(len(folders)) for k in (8, 9)]
    assert run_program(*folders)[0] == expected
    whole = {}
    for folder, damage in folders.items():
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} == {".py", ".nbc"}
        whole[folder] = {path: path.read_bytes() for path in files}
        damage_files(damage, whole[folder])
    assert run_program(*folders)[0] == expected
    for folder, damage in folders.items():
        for path, content in whole[folder].items():
            if damage != "folder":
                again = path.read_bytes()
                rest = path.suffix == ".nbc" and len(again) > len(content) // 2
                assert again == content or rest, damage


def test_without_a_folder_everything_is_compiled_and_one_warning_says_so(tmp_path):
    (tmp_path / "file").write_text("no folder")
    printed, logged = run_program(tmp_path / "file" / "cache")
    assert printed == ["8", "9"]
    assert logged.count("WARNING") == 1
    assert str(tmp_path / "file") in logged and cache.CACHE_VARIABLE in logged


def test_a_full_disk_is_no_error(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(cache.os, "replace", full)
    assert cache.load_module(SOURCE.format(11), "full").f(1) == 12
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="modes say nothing here")
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path):
    """It holds code that is executed."""
    folder = tmp_path / "cache"
    assert run_program(folder)[0] == ["8", "9"]
    assert folder.stat().st_mode & 0o077 == 0
    for path in folder.glob("*.py"):
        path.write_text("raise SystemExit('code of somebody else')")
    folder.chmod(0o775)
    before = sorted(folder.rglob("*"))
    printed, logged = run_program(folder)
    assert printed == ["8", "9"] and sorted(folder.rglob("*")) == before
    assert "other users" in logged and str(folder) in logged
