"""`scrub view`: pages over all runs below a directory, for this machine alone, of nothing but what runs say."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from threading import Thread

import pytest

from cli_cases import FALSE, FOIL, GOOD, HEAD, rewrite, scrub
from scrub.errors import ClaimError
from scrub.report import viewer
from scrub.storage.below import runs_below
from scrub.verbs import view

EVIL = "<script>alert(1)</script>"


def run(name: str, *options: object) -> None:
    scrub("test", "claims.py", "--out", f"runs/{name}", "--parts", "none", "--controls", "none", *options)
    os.utime(f"runs/{name}/run.json", (len(list(Path("runs").iterdir())),) * 2)  # one a second


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of a claim and a foil, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("kept"))
        Path("claims.py").write_text(f"{HEAD}{FALSE}\n{GOOD}\n{FOIL}\n")
        run("first", "--draws", 4)
        run("second", "--draws", 6)
        return Path("runs").resolve()


@pytest.fixture
def two(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(kept.parent / "claims.py", "claims.py")
    return shutil.copytree(kept, Path("runs"))


def told(page: str) -> str:
    """The text of a page, and that it holds no script."""
    words: list[str] = []
    reader = HTMLParser()
    reader.handle_data = words.append  # type: ignore[method-assign]
    reader.handle_starttag = lambda tag, attrs: words.append("SCRIPT" * (tag == "script"))  # type: ignore[method-assign]
    reader.feed(page)
    text = " ".join(" ".join(words).split())
    assert "SCRIPT" not in text
    return text


def test_claims_verdicts_over_time_and_what_differs(two: Path) -> None:
    found = scrub("view", two, "--export", "site", "--json", "-")
    assert json.loads(found.output)["results"] == [{"directory": "runs", "export": "site", "pages": 5}]
    pages = {file.name: file.read_text() for file in Path("site").iterdir()}
    links = set(re.findall(r'href="([^"#]+)"', "".join(pages.values())))
    assert links == set(pages)  # every page is reached, and no link is dead
    index = told(pages["index.html"])
    assert "2 runs, 2 claims" in index
    assert "claims.py::good supported 1.00" in index
    assert "claims.py::foil foil refuted" in index
    (history,) = (told(p) for n, p in pages.items() if n.startswith("claim") and "<h1>claims.py::good" in p)
    assert re.search(r"second .* draws: 4 → 6 first .* the first", history)
    reports = [told(p) for n, p in pages.items() if n.startswith("run")]
    assert len(reports) == 2
    assert all("the whole interval lies at or above" in report.replace("The", "the") for report in reports)


def test_where_a_command_was_started_makes_no_claim_another(two: Path) -> None:
    content = json.loads((two / "second" / "run.json").read_text())
    for result in content["results"]:
        result["hypothesis"] = f"/elsewhere/{result['hypothesis']}"
    rewrite(two / "second", "run.json", content)
    index = told(view.pages(two)[viewer.INDEX]())
    assert "2 runs, 2 claims" in index
    assert "elsewhere" not in index


def test_what_a_run_contains_is_escaped_and_what_is_damaged_is_told(two: Path) -> None:
    content = json.loads((two / "second" / "run.json").read_text())
    for result in content["results"]:
        result |= {"hypothesis": f"claims.py::{EVIL}", "foil": EVIL, "options": {EVIL: EVIL}, "reason": EVIL}
    rewrite(two / "second", "run.json", content)
    (two / "second" / "report.html").write_text(EVIL)  # stored markup is never shown
    (two / EVIL.replace("/", "")).mkdir()
    (two / EVIL.replace("/", "") / "run.json").write_text('{"results": [{"verdict": "<b>"}], "scrub": 1}')
    made = view.pages(two)
    texts = [told(page()) for page in made.values()]
    assert EVIL in texts[0]
    assert "run.json is damaged" in texts[0]
    assert any("claims.py" in text and EVIL in text for text in texts[1:])


def test_nothing_outside_the_directory_is_read(two: Path) -> None:
    outside = Path("outside")
    (two / "second").rename(outside)
    (two / "linked").symlink_to(outside.resolve(), target_is_directory=True)
    (two / "file").mkdir()
    (two / "file" / "run.json").symlink_to((outside / "run.json").resolve())
    found = {run.folder: run for run in runs_below(two)}
    assert set(found) == {"first", "file"}
    assert found["file"].wrong == "run.json cannot be read: it is a link, and a file itself is asked for."
    assert "it is a link" in told(view.pages(two)[view.viewer.run_name(found["file"])]())


@pytest.fixture
def served(two: Path) -> Iterator[int]:
    with view.server(two, 0) as serving:
        assert serving.server_address[0] == "127.0.0.1"
        Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield serving.server_port
        serving.shutdown()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status == 200:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    connection.close()
    return answer.status, text


def test_pages_are_served_by_name_and_nothing_else(served: int) -> None:
    status, index = ask(served, "/")
    assert status == 200
    for name in set(re.findall(r'href="([^"#]+)"', index)):
        assert ask(served, f"/{name}")[0] == 200
    assert ask(served, "/index.html?x=1") == (200, index)
    assert ask(served, "/", "HEAD") == (200, "")
    for path in ("/first/run.json", "/run.json", "/../claims.py", "/%2e%2e/claims.py", "//etc/passwd", "/claims.py"):
        status, text = ask(served, path)
        assert status == 404
        assert "story" not in text
    assert ask(served, "/", Host="evil.example:80")[0] == 403
    assert ask(served, "/", "POST")[0] == 501


def test_what_cannot_be_viewed_is_a_sentence(two: Path) -> None:
    for arguments, said in (
        (("nowhere",), "nowhere is no directory"),
        (("runs", "--export", "runs"), "it exists and is not empty"),
        (("runs", "--port", "99999"), "--port 99999 cannot be used"),
    ):
        found = scrub("view", *arguments)
        assert found.exit_code == 2
        assert said in found.stderr
    with view.server(two, 0) as serving, pytest.raises(ClaimError, match="another, or 0"):
        view.server(two, serving.server_port)


def test_runs_are_viewed_without_torch(two: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom scrub.verbs import view\n"
        "view.export(Path('runs'), Path('site'))\n"
        "print([m for m in ('torch', 'transformer_lens', 'scipy', 'pandas') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stdout == "[]\n", found.stderr
