"""``python -m privity``."""

import os
import sys

# Python puts the current folder first on its path: a file there must not stand in for a module of Python or Privity.
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(os.getcwd()):
    _here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if os.path.realpath(sys.path[0]) != _here:  # unless Privity itself is run from its sources
        del sys.path[0]

from .entry import main

main()
