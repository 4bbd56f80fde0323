"""The code of a group of neurons, whose long assignments are functions of their own."""

from __future__ import annotations

from brian_eventprop.codegen.clock.groups import GroupCode
from brian_eventprop.codegen.expr.straight_line import Piece, pieces

_DECORATOR = '@njit(nogil=True, error_model="numpy", cache=True, no_cpython_wrapper=True)\n'
_INLINED = _DECORATOR.replace(")\n", ", forceinline=True)\n")

#: Longer code than so many characters is cut into functions.
LONG = 4000


class NeuronCode(GroupCode):
    """Code of a group whose long assignments become functions."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pieces: dict[Piece, str] = {}
        self.recorded = self.needs_states or self.needs_final_states or self.plan.recorded
        #: The conditions for a step of the group, and for one of the forward pass.
        self.runs, self.first_run = (
            ("n >= first_updated", "not recomputing") if self.recorded else ("True", "True")
        )

    def cut(self, lines, wanted):
        """Return calls of functions in place of long code; equal ones are one function."""
        if sum(map(len, lines)) <= LONG:
            return lines
        calls = []
        for piece in pieces(lines, wanted):
            if piece not in self.pieces:
                self.pieces[piece] = self.a(f"part{len(self.pieces)}")
            calls.append(piece.call(self.pieces[piece]))
        return calls

    def module(self) -> str:
        """Return the text of the functions, those of explosive upstrokes among them."""
        texts = [piece.function(name, _INLINED) for piece, name in self.pieces.items()]
        if self.upstroke is not None:
            texts.append(self.upstroke.functions(_DECORATOR))
        return "\n\n".join(texts)
