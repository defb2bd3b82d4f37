"""`python -m scrub`."""

from scrub.cli import main

main()
