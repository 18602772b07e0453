"""`python -m dlcoder`: the command line, for clients that are configured with an interpreter."""

import sys

from dlcoder.cli import main

sys.exit(main())
