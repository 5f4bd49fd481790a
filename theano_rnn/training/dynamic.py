"""Dynamic evaluation of a run: the loss of a copy of its model that learns from the test text."""

import dataclasses
from typing import Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.model.architecture import NO_DROPOUT
from theano_rnn.optim.dynamic import DynamicStep
from theano_rnn.rnn import RNN
from theano_rnn.text import batches
from theano_rnn.text.corpus import Corpus, count_tokens
from theano_rnn.training import build, evaluation
from theano_rnn.training.settings import Settings

#: Tokens of a batch whose gradient counts for the rms, as in the paper's code: 100 rows of 5. Such
#: a gradient is mostly noise, whose size falls with the number of tokens.
TOKENS = 500
#: Batches that count, from the beginning of the training text.
MOST = 1000


def by_sgd(settings: Settings, corpus: Corpus, model: RNN) -> float:
    """The loss with steps of sgd, clipped as in training, at the rate ``settings.dynamic``.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus
    model : RNN
        It stays as it is.

    Returns
    -------
    float
        In nats per token.
    """
    assert settings.dynamic is not None
    plain, learner = _copied(settings, corpus, model)
    step = build.build_step(plain, learner)
    return evaluation.dynamic_loss(step, corpus.test, settings.dynamic, settings.clip, plain.steps)


def by_rms(settings: Settings, corpus: Corpus, model: RNN) -> float:
    """As ``by_sgd``, with RMS-scaled steps at the rate ``settings.dynamic_rms`` for each token."""
    assert settings.dynamic_rms is not None
    plain, learner = _copied(settings, corpus, model)
    step = DynamicStep(learner)
    _observe(step, plain, corpus)
    step.begin()
    return evaluation.dynamic_loss(step, corpus.test, settings.dynamic_rms, None, plain.steps)


def _copied(settings: Settings, corpus: Corpus, model: RNN) -> tuple[Settings, RNN]:
    """A copy of the model without dropout, and settings without what only training does."""
    plain = dataclasses.replace(
        settings, optimizer="sgd", l2=0.0, weight_decay=0.0, omega=0.0, ar=0.0, tar=0.0,
        precision="float32",
    )  # fmt: skip
    if settings.truncation.startswith(("adaptive", "artbp")):  # pieces of one length, and no draw
        cut = f"chunk:{settings.steps or build.USUAL}" if settings.stream else "full"
        plain = dataclasses.replace(plain, truncation=cut)
    learner = build.build_model(plain, corpus.vocabulary.size, **NO_DROPOUT)
    learner.set_parameters(model.parameters())
    return plain, learner


def _observe(step: DynamicStep, settings: Settings, corpus: Corpus) -> None:
    """Gather the rms on the training text, read as the test text will be."""
    total = count_tokens(corpus.train)
    if settings.steps is None:
        size = max(1, TOKENS * len(corpus.train) // total)
        for group in batches.buckets(corpus.train, size, settings.seed)[:MOST]:
            step.observe(*batches.batch([corpus.train[n] for n in group]))
        return
    stream = batches.Stream(
        corpus.train, int(np.clip(TOKENS // settings.steps, 1, total)), settings.steps
    )
    state: Optional[Floats] = None
    for i in range(min(MOST, len(stream))):
        x, y = stream[i]
        state = step.observe(x, y, state=state)
