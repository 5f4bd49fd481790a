"""Begin a training: in a new run folder, from another run's parameters, or where a run stopped."""

import contextlib
import dataclasses
import glob
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Optional

import numpy as np

from theano_rnn.common import extras
from theano_rnn.common.errors import RNNError
from theano_rnn.common.options import command_line, option
from theano_rnn.common.types import Parameters, PathLike
from theano_rnn.common.validation import shown
from theano_rnn.model.architecture import NO_DROPOUT
from theano_rnn.rnn import RNN
from theano_rnn.text.reading import STANDARD_INPUT, Progress, absolute
from theano_rnn.text.tokens import Form
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import build, defaults
from theano_rnn.training.load import load, load_settings
from theano_rnn.training.loop import Training
from theano_rnn.training.recipes import RECIPES, replaced
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import MANY_EPOCHS, NETWORK, Settings

#: The settings that name the text.
TEXTS = {"text", "train", "valid", "test"}
#: The settings that a resumed run may change: they leave the network, what its optimizer knows,
#: and the order of the steps as they are. The text may have moved, but must be the same.
SAFE = TEXTS | {
    "learning_rate", "schedule", "lr_decay", "lr_decay_after", "min_improvement", "lr_end",
    "warmup", "patience", "epochs", "minutes", "clip", "on_nonfinite", "state_reset",
    "threads", "precision", "checkpoint_every", "watch", "tensorboard", "dynamic", "dynamic_rms",
    *NO_DROPOUT,
}  # fmt: skip
#: What says how a text is read, at its defaults; a run from another one has another text.
OF_A_TEXT = {
    field.name: field.default
    for field in dataclasses.fields(Settings)
    if field.name in {*TEXTS, "split", "column", "vocab_size", "encoding", "sentences"}
}
#: What a run that begins from another one cannot change: the network, and what a token is.
FIXED = {*NETWORK, "level", "tokenized", "lower"} - NO_DROPOUT.keys()


@contextlib.contextmanager
def new(
    settings: Settings,
    folder: Optional[PathLike] = None,
    source: Optional[PathLike] = None,
    progress: Optional[Progress] = None,
    given: Optional[Collection[str]] = None,
) -> Iterator[Training]:
    """A training in a new run folder, which is locked until the block ends.

    Parameters
    ----------
    settings : Settings
    folder : path, optional
        By default ``runs/`` and the time.
    source : path, optional
        The run whose best parameters it begins with, see ``settings_from``; tokens that its
        vocabulary lacks begin as in a new network.
    progress : function, optional
        Called while the text is read; see ``text.reading.Progress``.
    given : collection of str, optional
        The settings that someone chose. If this is given, others may be changed to fit the text,
        see ``defaults.fitting``; ``training.chosen`` tells which.

    Raises
    ------
    RNNError
        If the text, the folder or the source does not do. Whatever ends it before a step is taken,
        no folder is left then.
    """
    # Everything that can fail comes before the folder is made.
    if settings.tensorboard:
        extras.need("tensorboard", "--tensorboard")
    corpus = build.build_corpus(settings, progress)
    settings = build.as_read(settings, corpus)
    chosen: dict[str, Any] = {}
    if given is not None:
        chosen = defaults.fitting(settings, given, corpus.token_counts["train"])
        settings = dataclasses.replace(settings, **chosen)
        settings.check_given(given)
        build.build_stream(settings, corpus)  # fails now, and not after the run folder is made
    build.architecture(settings, corpus.vocabulary.size).check_memory()
    before = None if source is None else load(source)
    run = Run.create_dated() if folder is None else Run.create(folder)
    with run.locked():
        training = None
        try:
            run.save_vocabulary(corpus.vocabulary)
            training = Training(settings, run, corpus)
            training.chosen = chosen
            if before is not None:
                training.begin_with(mapped(*before, training.model, corpus.vocabulary))
            run.save_settings(vars(settings))  # the last of what --resume needs
            if settings.tensorboard:
                run.write_events()
            yield training
        except BaseException as error:
            is_untrained = training is None or not (training.state.epoch or training.state.step)
            # Ctrl-C has saved what there is, so that the run can go on.
            if is_untrained and not (isinstance(error, KeyboardInterrupt) and run.has_last):
                run.discard()
            raise


@contextlib.contextmanager
def resumed(
    folder: PathLike, changes: Mapping[str, Any], progress: Optional[Progress] = None
) -> Iterator[Training]:
    """The training of a run folder where it stopped; the folder is locked until the block ends.

    Parameters
    ----------
    folder : path
    changes : dict
        Settings in ``SAFE`` to change.
    progress : function, optional
        Called while the text is read.

    Raises
    ------
    RNNError
        If the folder is not a run, its text has changed, nothing is left to do, or a change is not
        safe or has no effect; nothing has changed then.
    """
    refused = changes.keys() - SAFE
    if refused:
        more = "" if refused & FIXED else f" from its parameters: --from {folder}"
        raise RNNError(
            "--resume takes its settings from the run; leave out "
            f"{', '.join(sorted(map(option, refused)))}, or start a new run{more}"
        )
    run = Run.open(folder)
    changes = from_anywhere(changes)
    settings = load_settings(run, **changes)
    settings.check_given(changes)
    is_open = settings.minutes is None and settings.epochs == MANY_EPOCHS
    if is_open and "minutes" in changes and "epochs" not in changes:
        raise RNNError("without minutes nothing ends this training; give --epochs too")
    if settings.tensorboard:
        run.write_events()
    for name in sorted(TEXTS):
        path = getattr(settings, name)
        is_name = isinstance(path, str) and path != STANDARD_INPUT
        if is_name and not (os.path.lexists(path) or glob.glob(path, recursive=True)):
            raise RNNError(
                f"{path}, a text of the run in {folder}, is not there; if it has moved, say "
                f"where: {option(name)} FILE"
            )
    corpus = build.build_corpus(settings, progress)
    if corpus.vocabulary.tokens != run.vocabulary().tokens:
        raise RNNError(f"the text has changed since the run in {folder} began; start a new run")
    settings = build.as_read(settings, corpus)
    with run.locked():
        training = Training(settings, run, corpus, resume=True)
        if "learning_rate" in changes:
            training.set_learning_rate(settings.learning_rate)
        run.save_settings(vars(settings))
        yield training


def chosen(
    given: Mapping[str, Any],
    recipe: Optional[str],
    source: Optional[PathLike],
    where: str = "train",
) -> tuple[Settings, Optional[Collection[str]]]:
    """The settings of a new run, and which of them someone chose, if the others may be fitted.

    Parameters
    ----------
    given : dict
        Settings by name, or by the name that older versions gave them.
    recipe : str, optional
        Those of a recipe are taken for the others.
    source : path, optional
        Those of this run are, see ``settings_from``.
    where : str
        What was called, for a message on an unknown name.

    Raises
    ------
    RNNError
        For a bad setting or one without effect, an unknown recipe, or a recipe beside a run.
    """
    given = from_anywhere(Settings.named(given, where))
    if source is not None:
        if recipe is not None:
            raise RNNError(f"{where}: the settings are those of {source}; leave recipe out")
        return settings_from(source, given), None
    if recipe is not None and not (isinstance(recipe, str) and recipe in RECIPES):
        raise RNNError(f"recipe {shown(recipe)} is unknown; use {', '.join(RECIPES)}")
    settings = Settings(**(given if recipe is None else replaced(RECIPES[recipe], given)))
    settings.check_given([name for name in given if recipe or name not in defaults.LATE])
    return settings, None if recipe else given.keys()


def from_anywhere(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose texts are named from the root: a run is resumed in any folder."""
    return {name: absolute(value) if name in TEXTS else value for name, value in given.items()}


def settings_from(source: PathLike, given: Mapping[str, Any]) -> Settings:
    """The settings of a new run that begins with the parameters of another one.

    Parameters
    ----------
    source : path
        The other run. Its settings are taken, but for the text, the size of the vocabulary, and
        epochs that would end the training before its minutes.
    given : dict
        The text, and settings that replace those of the run.

    Raises
    ------
    RNNError
        For another network or other tokens than those of the run, or settings without effect.
    """
    before = load_settings(Run.open(source))
    lower = Form(before.level, before.tokenized, before.lower).lower
    held = {**vars(before), "lower": lower}
    others = [name for name in sorted(FIXED & given.keys()) if given[name] != held[name]]
    if others:
        name = others[0]
        raise RNNError(
            f"the parameters of {source} are those of {command_line({name: held[name]}, Settings)}"
            f", not {command_line({name: given[name]}, Settings)}; leave {option(name)} out"
        )
    if not TEXTS & given.keys():
        raise RNNError(
            f"--from {source} needs a text: give --text, or --train, --valid and --test"
        )
    settings = Settings(**replaced({**vars(before), **OF_A_TEXT}, given))
    settings.check_given(given)
    return settings


def mapped(source: RNN, before: Vocabulary, model: RNN, vocabulary: Vocabulary) -> Parameters:
    """The parameters of a model for another vocabulary; tokens of both keep what they have.

    Parameters
    ----------
    source : RNN
    before : Vocabulary
        Of the source.
    model : RNN
        A model of the same network for the other vocabulary: it has the values of new tokens.
    vocabulary : Vocabulary
        Of the model.

    Returns
    -------
    dict of arrays
        In the shapes of the model.
    """
    ids = {token: index for index, token in enumerate(before.tokens)}
    known = [index for index, token in enumerate(vocabulary.tokens) if token in ids]
    old = [ids[vocabulary.tokens[index]] for index in known]
    wider = dataclasses.replace(model.architecture, vocab_size=vocabulary.size + 1).shapes
    values, others = model.parameters(), source.parameters()
    for name, value in values.items():
        axes = [axis for axis, size in enumerate(wider[name]) if size != value.shape[axis]]
        if not axes:
            values[name] = others[name]
            continue
        rows = np.moveaxis(value, axes[0], 0)  # a view: one row for each token
        rows[known] = np.moveaxis(others[name], axes[0], 0)[old]
    return values
