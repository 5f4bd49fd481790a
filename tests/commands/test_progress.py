"""What a training shows: the plan, the bar, a line a minute, samples, and how Ctrl-C ends it."""

import io
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from theano_rnn.commands import console, progress
from theano_rnn.commands import training as training_command
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.budget import Budget
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

WIDTHS = [40, 60, 80, 120]
VOCABULARY = Vocabulary.train(["the cat sat", "a dog ran"])


class Says:
    """A model that always says "cat"."""

    vocab_size = VOCABULARY.size

    def next_token(self, token, state=None):
        return np.eye(VOCABULARY.size)[VOCABULARY.encode("cat")[1]], np.zeros(1)


def training(**changes):
    settings = Settings(**{"epochs": 4, **changes})
    return SimpleNamespace(
        settings=settings, state=State(), model=Says(), end=None,
        examples=SimpleNamespace(count=lambda state: 50),
        budget=Budget(settings.epochs, settings.minutes, train=1000, valid=300),
        corpus=SimpleNamespace(
            token_counts={"train": 1000, "valid": 300, "test": 200}, vocabulary=VOCABULARY
        ),
        tokens_per_second=lambda: 100.0,
    )  # fmt: skip


@pytest.fixture
def output(monkeypatch):
    """Let everything print to a console of this width; return its file."""

    def of(width, is_terminal=True):
        made = Console(
            file=io.StringIO(), force_terminal=is_terminal, width=width, highlight=False
        )
        for module in (console, progress):
            monkeypatch.setattr(module, "CONSOLE", made)
        return made.file

    return of


def begun(made=None):
    display = progress.Display()
    display.started(made or training())
    return display


RECORD = {
    "epoch": 1, "train_loss": 4.3, "valid_loss": 4.5, "valid_perplexity": 90.0,
    "learning_rate": 0.0125, "tokens": 1000, "seconds": 10.0,
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_longer_than_the_terminal_or_broken_inside_a_word(output, width):
    file = output(width)
    display = begun(training(epochs=4000))
    display.epoch(RECORD)
    said = file.getvalue()
    assert max(map(len, said.split("\n"))) <= width
    whole = output(10**4)
    display = begun(training(epochs=4000))
    display.epoch(RECORD)
    assert said.split() == whole.getvalue().split()  # the same words


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_at_the_end_fits_and_breaks_no_word(output, monkeypatch, width):
    result = {"kneser_ney_order": 5, "vocab_size": 8000, "oov_rate": 0.016, "epochs": 8,
              "best_epoch": 8}  # fmt: skip
    for name in ("unigram", "bigram", "kneser_ney", "test", "dynamic"):
        figures = {"perplexity": 380.3, "word_perplexity": 380.3, "bits_per_byte": 2.123}
        result.update({f"{name}_{figure}": value for figure, value in figures.items()})
    file = output(width, is_terminal=False)
    monkeypatch.setattr(training_command, "CONSOLE", progress.CONSOLE)
    training_command.show(result)
    said = file.getvalue()
    table = said[: said.index("8,000 tokens")]
    assert max(map(len, table.split("\n"))) <= width and "lower is better" in table
    assert table.count("380.3") == (5 if width == 40 else 10)
    assert table.count("2.123") == (0 if width == 40 else 5)
    words = "interpolated bigram Kneser-Ney, order 5 learning per token".split()
    assert all(word in table for word in words)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_bar_fits_the_terminal_and_leaves_nothing_behind(output, width):
    file = output(width)
    display = begun()
    state = State(loss=25.0, tokens=10, epoch=9)
    display.progress.start()
    for draw in (
        lambda: display._show(9, "compiling ..."),
        lambda: display._draw(state, 13.25),
        lambda: display.evaluating(SimpleNamespace(state=state)),
    ):
        draw()
        line = io.StringIO()
        Console(file=line, width=width).print(display.progress.get_renderable())
        (text, end) = line.getvalue().split("\n")
        assert "epoch 10" in text and "…" not in text and "-:--:--" in text and not end
        assert (display.bar in display.progress.columns) == (width >= 60)
        assert ("|gradient|" in text) <= (width > 60)
        if width == 120 and "loss" in text:
            assert all(word in text for word in ("loss 2.500", "tokens/s", "|gradient| 13.25"))
    display.progress.stop()
    assert file.getvalue().endswith("\x1b[1A\x1b[2K")  # one line up, and erased


def test_the_plan_is_steps_and_time_and_what_would_shorten_hours(output):
    plan = progress.plan(training(), 100.0)
    assert plan == "4 epochs of 50 steps: about 44 seconds at 100 tokens a second."
    resumed = training(patience=2, epochs=8)
    resumed.state = State(epoch=6, tokens=500)
    plan = progress.plan(resumed, 100.0)
    assert plan.startswith("2 more epochs of 50 steps: about 17 seconds at 100 tokens a second")
    assert plan.endswith(", less if --patience ends it.")
    long = progress.plan(training(epochs=400), 10.0)
    assert "about 12 hours" in long
    assert long.endswith(
        "Shorter: --batch-size 32, --hidden-size 50, --epochs 32, a shorter text."
    )
    assert progress.plan(training(epochs=1), None) == "1 epoch of 50 steps."
    timed = training(epochs=10**5, minutes=0.5)
    assert progress.plan(timed, None) == "Epochs of 50 steps, for 0.5 minutes."
    # 1,100 tokens an epoch, validation included; the minutes end first, or the epochs do.
    plan = progress.plan(training(epochs=400, minutes=1.1), 100.0)
    assert plan == "About 6.0 epochs of 50 steps in 1 minute, at 100 tokens a second."
    assert progress.plan(training(epochs=4, minutes=1.1), 100.0).startswith("4 epochs of 50")
    plan = progress.plan(training(epochs=400, minutes=0.01), 100.0)
    assert plan == "About 3 steps of the 50 of an epoch in 1 second, at 100 tokens a second."


def test_there_is_a_line_a_minute_where_the_output_is_no_terminal(output, monkeypatch):
    file = output(80, is_terminal=False)
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    display = begun()
    file.truncate(0)
    with display.shown():
        for i, now[0] in enumerate((101.0, 159.0, 161.0, 170.0, 222.0), start=1):
            tokens = 400 * i
            state = State(loss=2.5 * tokens, tokens=tokens, seconds=now[0] - 100)
            display.step(state, 25.0, 3.0, 400)
    lines = file.getvalue().strip("\0").splitlines()
    assert len(lines) == 2 and all("loss 2.500" in line for line in lines)
    assert lines[0].startswith("epoch 1  30%") and "20 tokens/s" in lines[0]
    assert "left" in lines[1]


def test_with_minutes_the_percentage_is_that_of_the_time(output, monkeypatch):
    file, now = output(80, is_terminal=False), [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    display = begun(training(epochs=400, minutes=10))
    for now[0], elapsed in [(161.0, 150.0), (191.0, 180.0), (222.0, 210.0)]:
        state = State(loss=25.0, tokens=10, seconds=0.5, begun=0.0, elapsed=elapsed)
        display.step(state, 25.0, 3.0, 400)
    lines = file.getvalue().splitlines()[-2:]
    assert lines[0].startswith("epoch 1  25%") and lines[1].startswith("epoch 1  35%")
    assert "20 tokens/s" in lines[1] and lines[1].endswith("left")


def test_a_sample_follows_each_epoch(output):
    file = output(80, is_terminal=False)
    begun().epoch(RECORD)
    assert file.getvalue().endswith("    cat" + 29 * " cat" + "\n")


def test_ctrl_c_waits_for_a_step_and_for_nothing_else(output):
    file = output(80, is_terminal=False)
    before = signal.getsignal(signal.SIGINT)
    try:
        for display in (begun(), begun()):
            display.evaluating(training())
            display.epoch(RECORD)
            display.interrupt()  # in a step of the next epoch
            assert display.stop and "Stopping after this step" in file.getvalue()
        display = begun()
        display.evaluating(training())
        with pytest.raises(progress.Stopped):
            display.interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(progress.Stopped):
            display.terminate()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [(130_000, 200_000, "0.1 of 0.2 MB"), (3_200_000_000, None, "3,200.0 MB")],
)
def test_reading_says_how_far_it_is_after_a_second(monkeypatch, capsys, done, total, said):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    reading = progress.Reading()
    reading(done, total)
    assert capsys.readouterr().out == ""
    now[0] = 1.5
    reading(done, total)
    assert capsys.readouterr().out == f"Reading the text: {said}\n"
    reading(done, total)
    assert capsys.readouterr().out == ""  # the next line comes ten seconds later
