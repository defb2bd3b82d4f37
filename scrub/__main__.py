"""`python -m scrub`."""

from scrub.cli import main

main(prog_name="scrub")
