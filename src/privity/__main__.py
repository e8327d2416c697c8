"""``python -m privity``."""

from .cli import main

main()
