"""README and docs/ name files, links, options and modules that are there."""

import re
import runpy

import pytest
from conftest import PICTURES, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.name for page in PAGES]
#: Options that argparse adds, and those of other programs.
OTHERS = {"--help", "--logdir", "--rm"}


def read(page):
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_that_a_page_names_is_there(page):
    named = re.findall(r"\b(?:theano_rnn|tests|tools|docs|scripts)/[\w./-]*\w/?", read(page))
    missing = sorted({path for path in named if not (ROOT / path).exists()})
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)", read(page))
    assert not [to for to in links if "://" not in to and not (page.parent / to).exists()]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_module_that_a_page_names_is_there(page):
    for name in set(re.findall(r"\btheano_rnn(?:\.[a-z_]+)+", read(page))):
        parts = name.split(".")
        places = [ROOT.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1)]
        assert any(p.is_dir() or p.with_suffix(".py").exists() for p in places), name


def test_every_option_that_a_page_names_is_known():
    known = set(OTHERS)
    for source in (ROOT / "theano_rnn" / "commands").glob("*.py"):
        known |= set(re.findall(r"--[a-z][a-z0-9-]+", source.read_text(encoding="utf-8")))
    for program in [*(ROOT / "tools").rglob("*.py")]:
        known |= set(re.findall(r"--[a-z][a-z0-9-]+", program.read_text(encoding="utf-8")))
    from theano_rnn.commands import train
    from theano_rnn.long_term.trial import Trial
    from theano_rnn.training.settings import Settings

    for name, field in {**Trial.__dataclass_fields__, **Settings.__dataclass_fields__}.items():
        known |= {"--" + name.replace("_", "-"), field.metadata.get("option", {}).get("off")}
    known |= set(re.findall(r"--no-[a-z-]+", train.parser().format_help()))
    for page in PAGES:
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", read(page)))
        assert not named - known, page.name


def test_every_file_that_a_page_includes_is_there():
    """A formatter of Python once put spaces into the marker, and the page showed the marker."""
    for page in PAGES:
        for line in re.findall(r"^--8.*$", read(page), re.MULTILINE):
            included = re.fullmatch(r'--8<-- "(.+)"', line)
            assert included, f"{page.name}: {line}"
            assert any((folder / included[1]).exists() for folder in (ROOT, ROOT / "docs"))


def test_every_target_of_make_that_a_page_names_is_there():
    targets = re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE)
    for page in PAGES:
        named = set(
            re.findall(r"(?:`|^ *)(?:PYTHON=\S+ )?make ([a-z-]+)", read(page), re.MULTILINE)
        )
        assert not named - set(targets), page.name


def test_the_readme_is_short_and_leads_to_the_tutorial():
    lines = read(ROOT / "README.md").splitlines()
    assert len(lines) <= 150
    assert any("docs/tutorial.md" in line for line in lines[:20])


def test_every_page_is_in_the_navigation():
    listed = re.findall(r": ([\w-]+\.md)$", read(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(listed) == [page.name for page in PAGES[1:]]


def test_the_drawings_are_those_of_the_script():
    for draw in runpy.run_path(str(ROOT / "docs/draw.py"))["DRAWINGS"]:
        assert draw() == read(ROOT / "docs" / f"{draw.__name__}.svg")


def test_the_drawing_of_the_schemes_shows_the_pictures_of_the_tests():
    schemes = runpy.run_path(str(ROOT / "docs/draw.py"))["SCHEMES"]
    assert list(schemes) == list(PICTURES)
    for name, receives in schemes.items():
        rows = ["".join(".x"[receives(t, j, 6, 2)] for j in range(1, 7)) for t in range(1, 7)]
        assert tuple(rows) == PICTURES[name][:6]
