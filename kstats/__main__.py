"""``python -m kstats`` is ``kstats``."""

import sys

from kstats.cli import main

if __name__ == "__main__":
    sys.exit(main())
