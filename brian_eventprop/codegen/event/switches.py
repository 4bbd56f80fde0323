"""The code of conditions and steps within the equations of a group: see `adjoint.switches`.

The flag of a condition is one more entry of the vector that is integrated, 1 while the condition
is true and 0 else; that of a step like ``floor(t/T)`` is its value.  Flags stay as they are during
an integration step.
"""

from __future__ import annotations

from brian_eventprop.codegen.expr.scope import reads


class SwitchCode:
    """Bodies of the functions of a group's conditions and steps; ``q`` numbers them."""

    def __init__(self, group):
        self.group, self.switches = group, group.flow.switches
        self.first = group.width - len(self.switches)

    def __len__(self) -> int:
        return len(self.switches)

    def load(self) -> list[str]:
        """The flags, from the vector."""
        ref = self.group.scope.ref
        return [f"{ref(s.flag)} = x[{self.first + q}]" for q, s in enumerate(self.switches)]

    def still(self) -> list[str]:
        """The flags do not flow."""
        return [f"dx[{self.first + q}] = 0.0" for q in range(len(self))]

    def heights(self) -> list[str]:
        """``out[q] = h``, with the flags in ``x``."""
        values = {q: s.h for q, s in enumerate(self.switches)}
        lines = [*self.group.load(reads(values)), *self.load()]
        return lines + [f"out[{q}] = {self.group.scope.sympy(e)}" for q, e in values.items()]

    @property
    def timed(self) -> list[int]:
        """Those that change with the time alone."""
        flags: set[str] = set()
        for s in self.switches:
            if not s.states and set(s.inner) <= flags and not reads(s.h) & set(self.group.states):
                flags.add(s.flag)
        return [q for q, s in enumerate(self.switches) if s.flag in flags]

    def set_flags(self) -> list[str]:
        """Let the flags in ``x`` say which conditions are true; the inner ones come first."""
        lines = self.group.load(reads(*(s.h for s in self.switches)))
        for q, s in enumerate(self.switches):
            ref, h = self.group.scope.ref(s.flag), self.group.scope.sympy(s.h)
            value = f"1.0 if {h} > 0 else 0.0" if s.kind == "condition" else f"np.{s.kind}({h})"
            lines += [f"{ref} = {value}", f"x[{self.first + q}] = {ref}"]
        return lines

    def left(self, q: int) -> str:
        """Whether a flag does not hold any more, with its h in ``heights``; at h = 0 both may."""
        flag, height = f"x[{self.first + q}]", f"heights[{q}]"
        if self.switches[q].kind == "condition":
            return f"{height} < 0 if {flag} > 0.5 else {height} > 0"
        return f"np.{self.switches[q].kind}({height}) != {flag}"

    def borders(self, q: int) -> tuple[str, str]:
        """How far h may fall and rise before the flag changes."""
        flag = f"x[{self.first + q}]"
        match self.switches[q].kind:
            case "condition":
                return f"0.0 if {flag} > 0.5 else -math.inf", f"math.inf if {flag} > 0.5 else 0.0"
            case "floor":
                return flag, f"{flag} + 1"
            case "ceil":
                return f"{flag} - 1", flag
        return f"{flag} if {flag} > 0 else {flag} - 1", f"{flag} if {flag} < 0 else {flag} + 1"

    @property
    def steep(self) -> dict[int, str]:
        """Those whose change is the edge of a root, and whether ``x`` is on its steep side."""
        return {
            q: " or ".join(
                f"x[{self.first + q}] {'>' if side else '<'} 0.5" for side in sorted(s.steep)
            )
            for q, s in enumerate(self.switches)
            if s.steep
        }

    def followers(self, q: int) -> list[int]:
        """The flags that change with this one: of -h, and of conditions that read it."""
        own = self.switches[q]
        return [k for k, s in enumerate(self.switches) if own.flag in (s.opposite, *s.inner)]

    def climbs(self) -> list[str]:
        """``out[q]``: the derivative of h along ``dx``."""
        g, values = self.group, {}
        lines = g.load(reads(*(s.states for s in self.switches), *(s.time for s in self.switches)))
        lines += self.load()
        for q, s in enumerate(self.switches):
            terms = [f"dx[{g.states.index(n)}] * ({g.scope.sympy(e)})" for n, e in s.states.items()]
            values[q] = " + ".join([*terms, g.scope.sympy(s.time)])
        return lines + [f"out[{q}] = {text}" for q, text in values.items()]

    def back(self) -> list[str]:
        """lambda -= h_x D/hdot and dL/dp -= h_p D/hdot, with `ratio` = D/hdot."""
        g, lines = self.group, []
        for q, s in enumerate(self.switches):
            body = g.load(reads(s.states, s.parameters)) + self.load()
            body += g.add_derivatives(s, "-", "ratio")
            lines += [f"if q == {q}:", *(f"    {line}" for line in body or ["pass"])]
        return lines
