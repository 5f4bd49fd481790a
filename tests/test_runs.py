"""theano_rnn.train and theano_rnn.load: the code of the commands, in a call."""

import dataclasses
import json
import re

import numpy as np
import pytest

import theano_rnn
from theano_rnn import RNNError
from theano_rnn.runs import Watching
from theano_rnn.training import build, start
from theano_rnn.training.load import load as load_files
from theano_rnn.training.loop import Callback
from theano_rnn.training.sampling import generate
from theano_rnn.training.settings import Settings

SETTINGS = {"cell": "tanh", "hidden_size": 4, "epochs": 2, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    sentences = [" ".join(random.choice(words, size=random.integers(2, 8))) for _ in range(60)]
    path.write_text("\n".join(f"{sentence.capitalize()}." for sentence in sentences))
    return path


@pytest.fixture(scope="module")
def run(text):
    return theano_rnn.train(text, text.parent / "run", **SETTINGS)


@pytest.mark.slow
def test_it_trains_as_the_command_does_and_prints_nothing(text, run, tmp_path, capsys):
    settings, given = Settings(text=str(text), **SETTINGS), {"text", *SETTINGS}
    with start.new(settings, tmp_path / "run", given=given) as training:
        training.run_epochs(Watching())
        expected = training.result()
    assert run.result["test_perplexity"] == expected["test_perplexity"]
    assert run.result["epochs"] == 2 and capsys.readouterr().out == ""
    expected, vocabulary = load_files(tmp_path / "run")
    assert run.vocabulary.tokens == vocabulary.tokens
    for name, value in expected.parameters().items():
        np.testing.assert_array_equal(run.model.parameters()[name], value)


def test_a_run_is_opened_again_from_any_folder(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    again = theano_rnn.load(str(run.folder))
    assert again.settings == run.settings and again.folder == run.folder
    assert repr(again) == f"TrainedRun({str(run.folder)!r}: {run.model!r}; {run.vocabulary!r})"
    assert str(tmp_path) not in json.dumps(vars(again.settings))


def test_it_draws_what_sampling_draws(run):
    how = {"prime": "the", "count": 2, "seed": 5, "temperature": 0.8}
    assert run.generate(**how) == generate(run.model, run.vocabulary, **how)


def test_it_scores_sentences_and_files_alike(run, tmp_path):
    sentences = ["The cat ran home.", "A zebra sat."]
    (tmp_path / "text.txt").write_text(" ".join(sentences))
    found = run.score(sentences)
    assert run.score(tmp_path / "text.txt") == found
    assert re.fullmatch(r"Score\(perplexity=[\d.]+, .*, tokens=\d+, .* sentences\)", repr(found))
    assert [sentence for sentence, _ in found.sentences] == sentences
    ids = [run.vocabulary.encode(sentence) for sentence in sentences]
    losses = [run.model.ce_error(s[:-1], s[1:]) for s in ids]
    assert found.tokens == sum(len(s) - 1 for s in ids)
    np.testing.assert_allclose(np.log(found.perplexity), sum(losses) / found.tokens, rtol=1e-5)
    np.testing.assert_allclose(found.word_perplexity, found.perplexity)  # tokens are words
    size = len(" ".join(sentences)) + 1  # each with the space or newline after it
    np.testing.assert_allclose(found.bits_per_byte * size * np.log(2), sum(losses), rtol=1e-5)
    unknown = sum(int((s == run.vocabulary.unknown).sum()) for s in ids)
    assert found.unknown == unknown / (found.tokens - 2) > 0


def test_a_sentence_longer_than_a_sequence_is_scored_in_pieces_as_in_training(run, tmp_path):
    long = f"{'The cat ran ' * 400}home."
    (tmp_path / "text.txt").write_text(f"{long} A dog sat.")
    found = run.score(tmp_path / "text.txt")
    assert found == run.score([long, "A dog sat."])
    assert [sentence for sentence, _ in found.sentences] == [long, "A dog sat."]
    ids = run.vocabulary.encode(long)
    pieces = [ids[:1001], ids[1000:]]
    loss = sum(run.model.ce_error(s[:-1], s[1:]) for s in pieces)
    (_, perplexity), _ = found.sentences
    np.testing.assert_allclose(np.log(perplexity), loss / (len(ids) - 1), rtol=1e-5)


def test_only_standard_input_and_tables_have_the_column_of_the_run(run, tmp_path, monkeypatch):
    settings = dataclasses.replace(run.settings, column="b", text=None)
    seen = []
    monkeypatch.setattr(build, "read_text", lambda v, path, column, **others: seen.append(column))
    for name in ("-", "a.csv", "A.TSV", "notes-", "a.txt"):
        build.read_text_of(settings, run.vocabulary, name)
    assert seen == ["b", "b", "b", None, None]


def test_what_auto_found_in_the_text_is_how_other_texts_are_read(run, tmp_path):
    assert run.settings.sentences == "capitals"
    verse = "The cat ran\nand the dog\nsat home"
    (tmp_path / "verse.txt").write_text(verse)
    assert len(run.score(tmp_path / "verse.txt").sentences) == 1  # alone it would be three


@pytest.mark.parametrize("use, message", [
    (lambda text: theano_rnn.train(text, hiden_size=3), "'hiden_size'; did you mean hidden_size?"),
    (lambda text: theano_rnn.train(text, hidden_size=0), "hidden_size must be a whole number"),
    (lambda text: theano_rnn.train(text, recipe="tutor"), "recipe 'tutor' is unknown; use tutor"),
    (lambda text: theano_rnn.train(text, recipe=["words"]), r"recipe \['words'\] is unknown"),
    (lambda text: theano_rnn.train(text, source="nowhere"), "nowhere is not a run folder"),
    (lambda text: theano_rnn.train(text, source="run", hiden_size=3), "did you mean hidden_size?"),
    (lambda text: theano_rnn.train(text, source="run", recipe="words"), "leave recipe out"),
    (lambda text: theano_rnn.train(text, watch=True, callback=Callback()), "derive yours from"),
    (lambda text: theano_rnn.train(text, state_reset=0.1), "state_reset has no effect without"),
    (lambda text: theano_rnn.train(text, level="char", sentences="lines"), "sentences has no"),
    (lambda text: theano_rnn.train(text, text.parent), "exists; name another"),
    (lambda text: theano_rnn.train(text.with_name("none")), "none.*No such file"),
    (lambda text: theano_rnn.load(text.parent), "is not a run folder"),
])  # fmt: skip
def test_bad_calls_are_refused_and_make_no_folder(text, tmp_path, monkeypatch, use, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RNNError, match=message):
        use(text)
    assert not list(tmp_path.iterdir())


def test_settings_need_fit_the_run_that_is_gone_on_from_and_may_have_their_old_names(
    text, run, tmp_path
):
    """Its embedding, for one; the class's defaults have none."""
    new = theano_rnn.train(
        text,
        tmp_path / "run",
        source=run.folder,
        dropout_input=0.2,
        decay=0.7,
        epochs=1,
        lower=True,
    )
    assert new.settings.dropout_input == 0.2 and new.settings.lr_decay == 0.7
    with pytest.raises(RNNError, match="are those of --lower, not --keep-case; leave --lower out"):
        theano_rnn.train(text, source=run.folder, lower=False)
    mikolov = start.chosen({"text": "a", "decay": 0.6}, "mikolov", None)[0]
    assert mikolov.lr_decay == 0.6


def test_a_setting_may_need_what_is_chosen_to_fit_the_text(text, tmp_path):
    small = {"hidden_size": 3, "layers": 1, "epochs": 1, "truncation": "chunk:5", "batch_size": 2}
    run = theano_rnn.train(text, tmp_path / "run", level="char", state_reset=0.2, **small)
    assert run.settings.stream and run.settings.state_reset == 0.2


@pytest.mark.parametrize("bad", [[], [3], 5])
def test_what_is_no_text_is_not_scored(run, bad):
    with pytest.raises(RNNError, match="give a file or a list of sentences, not"):
        run.score(bad)
