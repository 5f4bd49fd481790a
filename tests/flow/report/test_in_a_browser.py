"""The page of a report as its reader has it: a phone, the dark, the keyboard, and how soon."""

import time

import pytest
from browser import browser, missing
from flow.by_hand import FOUND

from theano_rnn.flow.report.headline import headline
from theano_rnn.flow.report.html import numbers_of, page, sections_of

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing()), pytest.mark.slow]


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, make in FOUND.items():
        f = make()
        made = page(f"The gradient flow of {f.name}", headline(f), sections_of(f), numbers_of(f))
        (folder / f"{name}.html").write_text(made, encoding="utf-8")
    return folder


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", FOUND)
def test_a_page_fits_its_window_and_has_no_error(chromium, pages, name, width):
    chromium.device(width, 844)
    chromium.open(pages / f"{name}.html")
    chromium.device(width, 844)
    figures = "return [...document.querySelectorAll('section .figure')]"
    assert chromium.run(f"{figures}.every(f => f.querySelector('.panels svg'))")
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert not chromium.errors()


def test_the_longest_page_shows_within_three_seconds(chromium, pages):
    chromium.device(1280, 900)
    seconds = []
    for _ in range(5):  # the quickest: other processes take their time too
        start = time.perf_counter()
        chromium.open(pages / "sigmoid.html")  # 150 steps
        assert chromium.run("return document.querySelectorAll('.figure svg').length") > 6
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 3


def test_the_first_screen_has_the_sentence_what_to_do_and_the_map(chromium, pages):
    chromium.device(1280, 900)
    chromium.open(pages / "tanh.html")
    chromium.device(1280, 900)
    tops = chromium.run(
        "return ['h1', '#at-heat ul', '#heat .panels svg'].map("
        "s => document.querySelector(s).getBoundingClientRect().top)"
    )
    assert 0 <= tops[0] < tops[1] < tops[2] < 450


def test_arrow_keys_go_from_pair_to_pair(chromium, pages):
    chromium.device(1280, 900)
    chromium.open(pages / "tanh.html")
    told = "return document.querySelector('#heat .told').textContent"
    chromium.run("document.querySelector('#heat .panels svg').focus()")
    chromium.strike("left")
    assert chromium.run(told).startswith("output 12, “the”") and "step 12" in chromium.run(told)
    chromium.strike("left")
    assert "step 11, “cat”" in chromium.run(told)


def test_the_slider_chooses_the_output_of_the_bars(chromium, pages):
    chromium.device(1280, 900)
    chromium.open(pages / "tanh.html")
    # A bar for each step up to the output, but where the norm is 0: each a stroke of one path.
    bars = (
        "const paths = [...document.querySelectorAll('#reach .panels path')];"
        "return Math.max(...paths.map(p => p.getAttribute('d').split('V').length - 1))"
    )
    for t in (3, 7):
        chromium.run(f"document.getElementById('reach').setSlider({t})")
        assert chromium.run(bars) == (FOUND["tanh"]().norms[t] > 0).sum()


def test_the_heat_map_has_both_ends_of_its_colours(chromium, pages, tmp_path):
    from matplotlib.image import imread

    chromium.device(1280, 900)
    chromium.open(pages / "tanh.html")
    chromium.screenshot(tmp_path / "shot.png")
    pixels = imread(tmp_path / "shot.png")[..., :3].reshape(-1, 3)
    for name in ("#fde725", "#440154"):
        colour = [int(name[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert (abs(pixels - colour).max(axis=1) < 0.02).sum() > 500, name


def test_a_folded_part_is_drawn_when_it_opens_and_the_colours_are_of_the_dark(chromium, pages):
    chromium.device(1280, 900, "dark")
    chromium.open(pages / "lstm.html")
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert chromium.run(ground) == "rgb(15, 19, 24)"
    bars = "document.querySelector('#contributions .panels path[stroke]')"
    stroke = f"return getComputedStyle({bars}).stroke"
    assert chromium.run(stroke) == "rgb(255, 138, 76)"  # the error's orange, in the dark
    chromium.click("#at-symbols summary")
    assert "Jacobians" in chromium.run("return document.querySelector('#at-symbols dl').innerText")
