"""The oracle: RNN language models in hand-written, deliberately naive NumPy.

It imports NumPy and the standard library only, neither Theano nor the rest of the package, so
that when the compiled graph and these loops agree, they agree for different reasons.

``rnn``          NumpyRNN, with the methods of the compiled model: begin here
``bptt``         the loop back through time, and the five ways to cut it
``cells``        one step of each recurrence, forward and backward, derived by hand
``steps``        one step of all layers, and the output layer
``layout``       the names, the order and the shapes of the parameters
``masks``        the masks of dropout
``omega``, ``activations``, ``flossing``   what can be added to the loss
``dynamic``      dynamic evaluation
``bf16``         products of factors that are rounded to bf16
``online``       credit assigned forward in time
``finite_differences``  gradients from values of the loss alone: the judge of all the others
``frozen``       the loss whose true gradient is the truncated one
``checks``, ``types``   checks of the input, types in signatures
"""

from theano_rnn.reference.finite_differences import directional_difference, finite_differences
from theano_rnn.reference.frozen import frozen_state_loss
from theano_rnn.reference.rnn import NumpyRNN

__all__ = ["NumpyRNN", "directional_difference", "finite_differences", "frozen_state_loss"]
