"""The page on debugging does what it says."""

import io
import pdb
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "debugger.md"


def test_the_script_and_the_commands_of_the_page(capsys):
    text = PAGE.read_text()
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(script, str(PAGE), "exec"), names)
    functions = names["model"].functions
    assert capsys.readouterr().out.split() == list(functions)

    (run,) = re.findall(r'pdb\.run\("(.*)"\)', text)
    commands = re.findall(r"^\(Pdb\) (.*)$", text, re.MULTILINE)
    # line numbers may change with the generated code, what stands there not
    file = Path(functions["neuron.step_back"].__code__.co_filename)
    lines = file.read_text().splitlines()
    first = 1 + next(k for k, line in enumerate(lines) if "neuron_lam_v = neuron_lam[0, j]" in line)
    commands = [re.sub(r"^break \d+$", f"break {first}", command) for command in commands]
    answers = io.StringIO()
    given = io.StringIO("\n".join([*commands, "clear 1 2", "continue\n"]))
    debugger = pdb.Pdb(stdin=given, stdout=answers, nosigint=True)
    debugger.run(run, names)
    assert "Breakpoint 2 at" in answers.getvalue()
    for line in re.findall(r"^-> .*$|^\(42, .*$", text, re.MULTILINE):
        assert line.split("...")[0] in answers.getvalue()
