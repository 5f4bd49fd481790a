"""The page in a real browser: controls, keys, lessons, a phone, the dark."""

import json

import pytest
from browser import browser, missing

from theano_rnn import explore

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium, tmp_path):
    """A function that opens the page with settings."""
    path = tmp_path / "explore.html"
    path.write_text(explore.page(), encoding="utf-8")
    chromium.device(1280, 900)

    def opened(settings=""):
        chromium.open(path, settings)
        return chromium

    yield opened
    assert not chromium.errors()


def text(chromium, selector):
    return chromium.run("return document.querySelector(arguments[0]).innerText", selector)


def settings(chromium):
    return json.loads(chromium.run("return JSON.stringify(settings)"))


def test_every_control_changes_the_network(page):
    chromium = page()
    for name, key, value in [
        ("scale", "right", 0.8), ("input", "left", 0.7), ("T", "end", 8), ("H", "home", 1),
    ]:  # fmt: skip
        chromium.press(key, f"#controls [name={name}]")
        assert settings(chromium)[name] == value
    for name, value in [
        ("activation", "relu"),
        ("kind", "random"),
        ("scheme", "window"),
        ("shows", "dW"),
    ]:
        chromium.click(f"input[name={name}][value={value}]")
        assert settings(chromium)[name] == value
    chromium.press("end", "#controls [name=K]")
    now = settings(chromium)
    assert now["K"] == 8 and chromium.run("return at") == 0  # arrows of a slider make no move
    chromium.press("home", "#controls [name=T]")
    assert settings(chromium)["K"] == 2  # never more than there are steps
    chromium.click("#numbers summary")
    chromium.click("#redraw")
    assert settings(chromium)["seed"] == now["seed"] + 1


def test_keys_and_buttons_make_the_same_moves(page):
    chromium = page("T=4")
    chromium.press("right")
    assert text(chromium, "#count") == "1 of 10"
    chromium.press("right")
    chromium.press("left")
    assert text(chromium, "#count") == "1 of 10"
    chromium.click("[data-go=output]")
    assert chromium.run("return document.querySelector('td.now').dataset.pair") == "3 3"
    chromium.click("[data-go=back]")
    assert text(chromium, "#count") == "4 of 10"
    chromium.click("[data-go=all]")
    assert text(chromium, "#count") == "10 of 10"
    assert chromium.run("return document.querySelector('[data-go=next]').disabled")
    chromium.click("[data-go=start]")
    assert text(chromium, "#count") == "0 of 10"
    chromium.click('td[data-pair="2 1"]')
    assert text(chromium, "#count") == "9 of 10"


def test_the_address_keeps_the_settings_and_the_move(page):
    chromium = page("T=7&scheme=chunk&K=3&scale=1.2")
    chromium.press("right")
    kept = chromium.run("return location.hash")[1:]
    before = settings(chromium)
    chromium = page(kept)
    assert settings(chromium) == before and chromium.run("return at") == 1
    assert before["K"] == 3 and before["T"] == 7


def test_an_address_that_makes_no_sense_is_that_of_the_beginning(page):
    chromium = page("T=9&H=x&scale=-1&K=0&activation=<b>&at=-5&seed=1e9&constructor=1")
    assert settings(chromium) == json.loads(chromium.run("return JSON.stringify(DEFAULTS)"))
    assert text(chromium, "#count") == "0 of 21"


@pytest.mark.parametrize(
    ("lesson", "said"),
    [
        (0, "It must vanish, whatever the sentence: γ σmax(W) = 0.70, below 1. Here 1.3 % of"),
        (1, "The bound proves nothing: γ σmax(W) = 1.80, above 1. One has to look. Here the error "
            "of output 6 grows 16.7-fold"),
        (2, "γ σmax(W) = 3.00, above 1. One has to look. Here 1.9 % of the error of output 6"),
        (3, "It cannot explode: γ σmax(W) = 1.00."),
    ],
)  # fmt: skip
def test_a_lesson_shows_what_it_says(page, lesson, said):
    chromium = page("T=3&at=2")
    chromium.click(f"[data-lesson='{lesson}']")
    assert said in text(chromium, "#said") and " look" in text(chromium, "#said").lower()
    chromium.click("[data-go=all]")
    states = "return document.querySelectorAll(`td[data-state=${arguments[0]}]`).length"
    cut, done = chromium.run(states, "cut"), chromium.run(states, "done")
    assert (cut, done) == ((26, 10) if lesson == 3 else (0, 21))
    if lesson == 3:
        assert "sends nothing back" in text(chromium, "#step")
        assert "cosine 0.37" in text(chromium, "#pairs-caption")
        chromium.click("input[name=scheme][value=window]")  # at its end too
        assert "cosine 1.00" in text(chromium, "#pairs-caption")
        assert (
            chromium.run("return document.querySelector('td[data-pair=\"6 2\"]').dataset.state")
            == "done"
        )


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(page, width):
    for chosen in (
        "",
        "T=8&H=4&scheme=chunk&K=3&at=2",
        "T=8&H=4&scale=5&input=5&at=30",
        "T=2&H=1&at=1",
    ):
        chromium = page()
        chromium.device(width, 844)
        chromium = page(chosen)
        chromium.device(width, 844)
        wide = chromium.run("return document.documentElement.scrollWidth")
        assert wide <= width, chosen


def test_on_a_phone_next_is_at_hand_and_the_controls_fold(page):
    chromium = page()
    chromium.device(390, 844)
    chromium.run("location.reload()")
    chromium.run("return 1")
    chromium.device(390, 844)
    box = chromium.run(
        "const b = document.querySelector('[data-go=next]').getBoundingClientRect();"
        "return [b.top, b.bottom, b.left, b.right]"
    )
    assert 0 <= box[0] < box[1] <= 844 and 0 <= box[2] < box[3] <= 390
    assert not chromium.run("return document.querySelector('#fold').open")


def test_the_page_is_dark_where_the_reader_wants_it(page):
    chromium = page()
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = chromium.run(ground)
    chromium.device(1280, 900, "dark")
    assert (light, chromium.run(ground)) == ("rgb(246, 247, 249)", "rgb(15, 19, 24)")


def test_nothing_is_loaded_but_the_page(page):
    chromium = page("at=3")
    assert chromium.run("return performance.getEntriesByType('resource').length") == 0
