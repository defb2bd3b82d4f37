"""`python -m scrub`."""

from scrub.cli.group import main

main(prog_name="scrub")
