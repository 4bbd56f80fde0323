"""One line when kernels are compiled: when it is written, and what it says."""

import io
import sys
import time

import pytest
from numba.core import event

from brian_eventprop.messages import compiling
from brian_eventprop.messages.compiling import compiling_announced
from brian_eventprop.messages.wanted import PROGRESS_VARIABLE, silent


def compile_for(seconds: float) -> None:
    """Tell what Numba tells when it compiles a function with one that it calls."""
    with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
        time.sleep(seconds)


def what() -> str:
    return "the kernels of 2 neuron groups"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Say what takes more than a twentieth of a second, twenty times as fast as otherwise."""
    monkeypatch.setattr(compiling, "LEAST", 0.05)
    monkeypatch.setattr(compiling, "EVERY", 0.05)


def lines(text: str) -> list[str]:
    return [line.rpartition("\r")[2].rstrip() for line in text.removesuffix("\n").split("\n")]


def test_long_compiling_is_said_in_one_line_while_it_lasts_and_afterwards(capsys):
    with compiling_announced(what):
        compile_for(0.3)
        assert capsys.readouterr().err.strip() == f"Compiling {what()}, once ..."
        compile_for(0.3)
        time.sleep(1.0)  # which is no compiling
    assert lines(capsys.readouterr().err) == [f"Compiling {what()}, once: 1 s"]


def test_a_short_while_and_what_is_on_the_disk_are_not_worth_a_word(capsys):
    with compiling_announced(what):
        compile_for(0.01)
        time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_who_looks_sees_the_seconds_go_by(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with compiling_announced(what):
        compile_for(0.4)
    assert terminal.getvalue().count("s so far") > 2
    assert lines(terminal.getvalue()) == [f"Compiling {what()}, once: 0 s"]


def test_blocks_in_each_other_have_one_line(capsys):
    with compiling_announced(what):
        for part in "forward", "backward":
            with compiling_announced(lambda part=part: part):
                compile_for(0.1)
    assert lines(capsys.readouterr().err) == [f"Compiling {what()}, once: 0 s"]


def test_after_an_error_the_next_block_has_its_line(capsys):
    with pytest.raises(ValueError), compiling_announced(what):
        raise ValueError
    with compiling_announced(what):
        compile_for(0.1)
    assert "Compiling" in capsys.readouterr().err


def test_it_can_be_turned_off(capsys, monkeypatch):
    with silent(), compiling_announced(what):
        compile_for(0.1)
    monkeypatch.setenv(PROGRESS_VARIABLE, "off")
    with compiling_announced(what):
        compile_for(0.1)
    assert capsys.readouterr().err == ""
