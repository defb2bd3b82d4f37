"""The command line, one file a command."""

from scrub.cli.group import main as main
