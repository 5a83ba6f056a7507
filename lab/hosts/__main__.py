"""`python -m lab.hosts`."""

import sys

from lab.hosts.cli import main

if __name__ == "__main__":
    sys.exit(main())
