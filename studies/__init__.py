"""Studies of what learned delays are worth: one command each, results with seeds beside them."""

import sys
from pathlib import Path

#: Where the lines of results lie.
RESULTS = Path(__file__).parent / "results"

# the network of the examples, and their series of runs
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
