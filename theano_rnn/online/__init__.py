"""Credit assigned forward in time: gradients beside backpropagation, and learning at each step.

Backpropagation through time keeps the states of the whole text and sends errors back. Here
nothing goes back: what the parameters did to the state goes forward with the state.

``net``          one step of a network, and the blocks of parameters that it multiplies with
``derivatives``  the derivatives of a step by the state before it and by the parameters
``methods``      ``rtrl``, ``snap1``, ``uoro``, ``local``, ``immediate``: what each carries along
``compiled``     what the next two share
``gradient``     ``OnlineGradient``: the gradient of a text, as ``RNN.bptt`` returns it
``step``         ``OnlineStep``: the parameters change at each step of the text
``cut``          the biased methods once more, by backpropagation through steps with ways cut
``batch``        ``uoro`` once more, for a batch of sequences of vectors
"""

from theano_rnn.online.gradient import OnlineGradient
from theano_rnn.online.methods import METHODS
from theano_rnn.online.step import OnlineStep

__all__ = ["METHODS", "OnlineGradient", "OnlineStep"]
