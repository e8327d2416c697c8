"""``python -m privity``."""

from .entry import main

main()
