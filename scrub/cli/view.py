"""`scrub view`: all runs below a directory, in a browser of this machine."""

from __future__ import annotations

from pathlib import Path

import click

from scrub.cli.endings import FINE
from scrub.cli.options import ExistingPath, Results, reporting, say

PORT = 8642


@click.command(short_help="Look at all runs below a directory.")
@click.argument("directory", type=ExistingPath(), metavar="DIR")
@click.option("--port", default=PORT, show_default=True, help="Where to serve; 0 takes any free port.")
@click.option("--export", "out", type=ExistingPath(), metavar="DIR", help="Write the pages here, and serve nothing.")
@reporting
def view(directory: Path, port: int, out: Path | None) -> tuple[Results, int]:
    """Serve a page over all runs below DIR, to this machine alone: claims, verdicts over time, differences between
    runs, and the report of each. It shows what is stored now each time that it is loaded; Ctrl-C ends it.

    With --export the same pages are written as files that open without a server.
    """
    from scrub.verbs import view as verb

    if out is not None:
        written = verb.export(directory, out)
        say(f"wrote {written} pages: {out / 'index.html'}")
        return [{"directory": str(directory), "export": str(out), "pages": written}], FINE
    with verb.server(directory, port) as serving:
        address = f"http://{verb.HERE}:{serving.server_port}/"
        say(f"{address}  (Ctrl-C ends)")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            say("ended")
    return [{"directory": str(directory), "address": address}], FINE
