"""Before training: warnings of long sentences, short epochs and a late average."""

import pytest

from theano_rnn.text.corpus import build_corpus
from theano_rnn.training.build import warnings
from theano_rnn.training.settings import Settings


@pytest.mark.parametrize(
    ("sentence", "settings", "expected"),
    [
        ("a b c", {}, []),
        ("a " * 201, {}, ["sentences have more than 202 tokens"]),
        ("a" * 201, {"level": "char"}, ["lines have more than 202 tokens"]),
        ("a " * 201, {"stream": True, "truncation": "chunk:9", "batch_size": 2}, []),
        ("a b c", {"average": "nt-asgd", "epochs": 8}, []),
        ("a b c", {"average": "nt-asgd", "epochs": 7}, ["begins after 7 epochs at the earliest"]),
        ("a b c", {"average": "nt-asgd:2", "epochs": 4}, ["after 4 epochs"]),
        ("a b c", {"average": "ema", "epochs": 1}, []),
        ("a b c", {"average": "nt-asgd", "minutes": 1}, []),
        ("a b c", {"batch_size": 2}, ["only 30 steps, of 2 sentences each"]),
        ("a b c", {"batch_size": 60, "minutes": 1}, ["batch-size, more --minutes, or a longer"]),
        (
            "a b c",
            {"stream": True, "truncation": "chunk:20", "batch_size": 3},
            ["only 4 steps, of 60 tokens each"],
        ),
    ],
)
def test_what_makes_training_poor_is_said_before_it(sentence, settings, expected):
    settings = Settings(**settings)
    corpus = build_corpus([sentence] * 60, ["a"], ["a"], settings.level)
    found = warnings(settings, corpus)
    assert len(found) == len(expected)
    assert all(part in line for part, line in zip(expected, found))
    assert not any("--tokenized" in line for line in found)
