"""`Maximum`: the largest sample and its time step.

What a maximum gains by events that make, move or end it is in `codegen.clock.maxima` and, for the
event solver, in the templates of its groups.
"""

from brian_eventprop.codegen.readouts.rule import ReadoutRule, inside


class Maximum(ReadoutRule):
    """The derivative goes to the first step with the largest sample."""

    kind = "maximum"
    every_step = True

    def sample(self, group, readout, value):
        at, moving = group.at(readout), group.arrival_maximum(readout)
        found = [f"{group.result(readout)} = sample", f"{at} = n"]
        found += moving.keep(False) if moving else []
        lines = [f"sample = {value}"]
        lines += inside(f"n == 0 or sample > {group.result(readout)}", found)
        if moving and moving.jumps:
            lines += [f"elif {at} == n - 1:", *("    " + line for line in moving.keep(True))]
        return lines

    def seed(self, group, readout, states):
        return inside(f"{group.at(readout)} == n", group.inject(readout, states))

    def seed_in_upstroke(self, group, readout, states, hit):
        here = f"{group.at(readout)} == n and n < {hit}"
        return inside(here, group.inject(readout, states))
