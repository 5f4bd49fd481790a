"""The numbers of the gradient flow that a training records after each epoch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.flow.measures import Measures

if TYPE_CHECKING:
    from theano_rnn.rnn import RNN

#: How much of the validation text is measured.
SENTENCES, TOKENS = 5, 50


def watched(model: "RNN", sequences: Sequence[Ints]) -> Record:
    """Measures of how far the error reaches, for metrics.jsonl.

    Parameters
    ----------
    model : theano_rnn.RNN
    sequences : list of arrays of token ids
        The longest ``SENTENCES`` of them are measured, the first ``TOKENS`` of each.

    Returns
    -------
    dict
        sigma_max, spectral_radius: the largest over all W, None for a cell without W; omega,
        live_steps: the means over the sentences, None if the states or the errors overflow.
    """
    spectra = Measures(model, [0], [0]).spectra().values()
    found: Record = {
        name: max((of[name] for of in spectra), default=None)
        for name in ("sigma_max", "spectral_radius")
    }
    longest = sorted(sequences, key=len, reverse=True)[:SENTENCES]
    try:
        texts = [s[: TOKENS + 1] for s in longest]
        flows = [Measures(model, text[:-1], text[1:]) for text in texts]
        found["omega"] = float(np.mean([flow.omega() for flow in flows]))
        found["live_steps"] = float(np.mean([flow.live_steps() for flow in flows]))
    except RNNError:
        found.update(omega=None, live_steps=None)
    return {name: value if is_finite(value) else None for name, value in found.items()}
