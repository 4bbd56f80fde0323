"""``python -m helpers.grammar``: see `runner`."""

import sys

from helpers.grammar.runner import main

if __name__ == "__main__":
    sys.exit(main())
