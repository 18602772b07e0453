"""`python -m dlcoder` is the command line."""

import sys

from dlcoder.cli import main

if __name__ == "__main__":
    sys.exit(main())
