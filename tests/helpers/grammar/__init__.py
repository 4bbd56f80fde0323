"""Random networks from a grammar, and what is compared on each of them.

`networks.draw_network` draws a network as the text of a Brian2 script; `comparisons.judge` compares
its gradient in exact time with differences, its spikes on the time grid with Brian2's, and its
gradient on the grid with that in exact time.  ``python -m helpers.grammar --help`` (in the folder
``tests``) runs many of them.
"""
