"""What variables are called in messages, tables and files."""

from __future__ import annotations


def name_of(key: tuple[str, str]) -> str:
    """Return the name of a variable as a user would write it.

    The delays of synapses belong to a pathway; those of the usual one, ``pre``, are ``s.delay``, as
    in Brian2.

    Parameters
    ----------
    key
        Owner and name; external constants have no owner.

    Examples
    --------
    >>> name_of(("s_in", "w")), name_of(("s_in_pre", "delay")), name_of(("", "tau_m"))
    ('s_in.w', 's_in.delay', 'tau_m')
    >>> name_of(("s_in_post", "delay"))
    's_in.post.delay'
    """
    owner, variable = key
    if variable == "delay":
        owner = owner.removesuffix("_pre")
        if owner.endswith("_post"):
            owner = f"{owner.removesuffix('_post')}.post"
    return f"{owner}.{variable}" if owner else variable
