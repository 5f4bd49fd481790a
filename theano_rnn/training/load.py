"""The settings, the network and the vocabulary of a run folder, loaded."""

import dataclasses
from typing import Any

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import PathLike
from theano_rnn.rnn import RNN
from theano_rnn.text.tokens import RULES
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import build
from theano_rnn.training.checkpoint import parameters
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings


def load(folder: PathLike) -> tuple[RNN, Vocabulary]:
    """The best model of a run folder, and its vocabulary.

    Raises
    ------
    RNNError
        If the folder is not a run, a file in it is damaged, or its files do not belong together.
    """
    run = Run.open(folder)
    settings, vocabulary = load_settings(run), run.vocabulary()
    values = parameters(run.checkpoint("best")[0])
    try:
        # The settings may ask for a network larger than memory; the file's is not.
        build.architecture(settings, vocabulary.size).check_parameters(values)
        model = build.build_model(settings, vocabulary.size)
        model.set_parameters(values)
    except RNNError as error:
        raise RNNError(
            f"{run.folder}: checkpoint, settings and vocabulary do not belong together: {error}"
        ) from None
    return model, vocabulary


def load_settings(run: Run, **changes: Any) -> Settings:
    """The settings of a run.

    Parameters
    ----------
    run : Run
    **changes
        Settings to replace in the file's.

    Raises
    ------
    RNNError
        If settings.json is damaged or has a bad value, and then the message names the file; or
        if a change has one.
    """
    where, values = f"{run.folder}/settings.json", run.settings()
    if isinstance(values, dict):
        # Without that name it is of 0.1.0, and its text is read by the rules of then.
        values = {"rules": RULES[0], **values}
    return dataclasses.replace(Settings.from_dict(values, where), **changes)
