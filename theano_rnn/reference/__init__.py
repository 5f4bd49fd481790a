"""The oracle: RNN language models in hand-written, deliberately naive NumPy.

It imports NumPy and the standard library only, neither Theano nor the rest of the package, so
that when the compiled graph and these loops agree, they agree for different reasons.
"""

from theano_rnn.reference.finite_differences import directional_difference, finite_differences
from theano_rnn.reference.frozen import frozen_state_loss
from theano_rnn.reference.rnn import NumpyRNN

__all__ = ["NumpyRNN", "directional_difference", "finite_differences", "frozen_state_loss"]
