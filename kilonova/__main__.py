"""``python -m kilonova``."""

from kilonova.cli import main

main()
