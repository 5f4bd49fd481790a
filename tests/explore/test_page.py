"""The page as a file: one, whole, and what the command says of it."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.request import url2pathname

import pytest
from conftest import ROOT

from theano_rnn import explore
from theano_rnn.commands import explore as command

PARTS = sorted((ROOT / "theano_rnn/explore").glob("*.*"))


def test_the_page_loads_nothing():
    page = explore.page()
    loaded = re.findall(
        r"""(?:src|href)=["']([^"']*)|url\((.*?)\)|(https?:)|import\(|fetch\(""", page
    )
    assert loaded == [("data:,", "", "")]
    assert "default-src 'none'" in page and len(page) < 100_000


def test_the_page_has_every_part_once():
    page = explore.page()
    for part in PARTS:
        if part.suffix in (".css", ".js"):
            assert page.count(part.read_text(encoding="utf-8")) == 1, part.name
    assert len(PARTS) == 8 and explore.TITLE in page[:2000]


def test_the_command_writes_the_page_and_says_how_to_open_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([]) == command.main([]) == 0  # an earlier page is replaced
    assert Path("explore.html").read_text(encoding="utf-8") == explore.page()
    said = capsys.readouterr().out.splitlines()
    assert "explore.html" in said[0] and "Open it in a browser" in said[0]
    assert Path(url2pathname(said[1][len("file://") :])) == tmp_path / "explore.html"
    assert command.main(["--output", "other name.html"]) == 0
    assert "other%20name.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", "is a folder; give a file, as explore.html"),
        ("nowhere/page.html", "nowhere/page.html cannot be written: No such file or directory"),
        ("mine.html", "mine.html is there already and is another file; give another name"),
        ("mine.html/page.html", "cannot be written: mine.html is a file; name another folder"),
    ],
)
def test_bad_output_is_one_line_and_changes_nothing(
    tmp_path, monkeypatch, capsys, output, message
):
    monkeypatch.chdir(tmp_path)
    Path("mine.html").write_bytes(b"\xff<title>mine</title>")
    assert command.main(["--output", output]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    assert Path("mine.html").read_bytes() == b"\xff<title>mine</title>"


def test_the_command_needs_nothing_but_python(tmp_path):
    code = (
        "import sys; from theano_rnn.__main__ import main; code = main(['explore', '--output', "
        "sys.argv[1]]); print(code, {'numpy', 'rich', 'theano'} & {*sys.modules})"
    )
    page = tmp_path / "page.html"
    command = [sys.executable, "-S", "-c", code, page]  # -S: no packages
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["0 set()"], done.stderr
    assert page.stat().st_size > 50_000
