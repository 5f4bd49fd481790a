"""Loading a run folder: the best model and its vocabulary, or a refusal that names the folder."""

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.load import load, load_settings
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.train(["the cat sat", "the dog sat", "a cat ran home"], "word")


@pytest.fixture(scope="module")
def model(vocabulary):
    return RNN(vocabulary.size, 6, seed=1)


def test_a_run_is_loaded_with_its_best_parameters(tmp_path, model, vocabulary):
    run = Run.create(tmp_path / "run")
    run.save_settings({"hidden_size": 6})
    run.save_vocabulary(vocabulary)
    run.save_checkpoint("best", model.parameters(), {})
    loaded, its_vocabulary = load(run.folder)
    assert its_vocabulary.tokens == vocabulary.tokens
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(loaded.parameters()[name], value)


def test_a_checkpoint_of_another_vocabulary_is_refused(tmp_path, vocabulary):
    run = Run.create(tmp_path / "run")
    run.save_settings({})
    run.save_vocabulary(vocabulary)
    run.save_checkpoint("best", RNN(vocabulary.size + 1, 3).parameters(), {})
    with pytest.raises(RNNError, match="do not belong together"):
        load(run.folder)


def test_the_text_of_a_run_is_read_by_the_rules_of_its_time(tmp_path):
    run = Run.create(tmp_path / "run")
    for settings, rules in (({"level": "char"}, 1), (vars(Settings()), 2)):
        run.save_settings(settings)
        assert load_settings(run).rules == rules
