"""What the steps of an epoch read: tokens and targets, where the gradient is cut, what is drawn.

All of it depends on the seed, the epoch and the step alone, and K on the parameters too, so a
resumed training reads what one without a break would have read.
"""

from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from theano_rnn.common.types import Bools, Function, Ints
from theano_rnn.model import cuts, dropout
from theano_rnn.optim.step import Step
from theano_rnn.rnn import RNN
from theano_rnn.text import batches
from theano_rnn.text.corpus import Corpus
from theano_rnn.training import adaptive
from theano_rnn.training.adaptive import Adaptive
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State


class Examples:
    """The examples of a training.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus
    model : RNN
    step : Step
    stream : Stream or None
        As ``build.build`` returns the last three.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        model: RNN,
        step: Step,
        stream: Optional[batches.Stream],
    ) -> None:
        self.settings, self.corpus, self.model, self.step = settings, corpus, model, step
        self.stream = stream
        is_random = model.truncation.startswith("artbp")
        # A stream under artbp is cut into pieces beforehand: a piece has no cut within.
        self._has_no_cuts = is_random and stream is not None
        self._draws = bool(dropout.kinds(model.architecture)) or (is_random and stream is None)
        self._errors: Optional[Function] = None  # compiled where K is chosen

    def of_epoch(self, state: State) -> Iterator[tuple[Ints, Ints, Optional[Bools]]]:
        """x, y and mask of each step of the epoch, from the current step on.

        Parameters
        ----------
        state : State
            Where the training stands; K is noted there, once it is chosen.
        """
        settings, sentences, first = self.settings, self.corpus.train, state.step
        self._choose_K(state)
        if self.stream is not None:
            pieces = self._pieces(state)
            for i in range(first, len(pieces)):
                yield (*pieces[i], None)
        elif settings.batch_size == 1:
            random = np.random.default_rng([settings.seed, state.epoch])
            for n in random.permutation(len(sentences))[first:]:
                s = sentences[n]
                yield s[:-1], s[1:], None
        else:
            seed = [settings.seed, state.epoch]
            for group in batches.buckets(sentences, settings.batch_size, seed)[first:]:
                yield batches.batch([sentences[n] for n in group])

    def count(self, state: State) -> int:
        """The number of steps of the epoch."""
        if self.stream is not None:
            return len(self._pieces(state))
        sentences, settings = self.corpus.train, self.settings
        if settings.batch_size == 1:
            return len(sentences)
        return len(batches.buckets(sentences, settings.batch_size, settings.seed))

    def drawn(self, x: Ints, state: State) -> dict[str, Any]:
        """What a step is told beside the tokens: its random numbers, K or its cuts.

        The dropout of a step depends on nothing that came before it.

        Parameters
        ----------
        x : int array
            Of the step.
        state : State

        Returns
        -------
        dict
            Arguments of ``Step``.
        """
        seed = [self.settings.seed, state.epoch, state.step]
        # To seed a generator takes a while.
        random = np.random.default_rng(seed) if self._draws else None
        told: dict[str, Any] = {"random": random}
        if self.step.scheme is not None:
            told["K"] = state.K
        elif self._has_no_cuts:
            told["cuts"] = np.zeros(x.shape, bool)
        return told

    def resets(self, state: State) -> Bools:
        """The rows of a stream whose state begins anew before a step.

        Returns
        -------
        (batch_size,) array of bool
        """
        seed = [self.settings.seed, state.epoch, state.step, 1]
        begins = np.random.default_rng(seed).random(self.settings.batch_size)
        found: Bools = begins < self.settings.state_reset
        return found

    def _choose_K(self, state: State) -> None:
        """K of this epoch, where it is chosen: the seed and the parameters say which."""
        cut = self.settings.cut
        if not isinstance(cut, Adaptive) or state.K is not None:
            return
        if self._errors is None:
            self._errors = adaptive.compile_errors(self.model)
        random = np.random.default_rng([self.settings.seed, state.epoch, 0, 2])
        sample = adaptive.sample_of(self.corpus.train, self.stream, random)
        state.K, state.bias, state.bias_error = adaptive.choose(
            cut, self.settings.stream, self._errors, self.model, sample, random
        )

    def _pieces(self, state: State) -> batches.Stream:
        """The stream in the pieces of this epoch, one a step."""
        assert self.stream is not None
        cut = self.settings.cut
        if isinstance(cut, Adaptive):
            self._choose_K(state)
            assert state.K is not None
            return self.stream.cut_every(state.K)
        if cut.scheme == "artbp":  # a piece is a run, from one cut to the next
            random = np.random.default_rng([self.settings.seed, state.epoch, 0, 2])
            drawn = cuts.draw(cut, (self.stream.steps, 1), random)
            return self.stream.cut_at(np.flatnonzero(drawn))
        return self.stream
