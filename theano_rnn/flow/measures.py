"""``Flow``, all measures of a network on a text: those of its two base classes.

Outputs t and steps k count from 1 to T as in the equations; in an array they are row t-1 and
column k-1.
"""

from theano_rnn.flow.contributions import Contributions
from theano_rnn.flow.jacobians import Jacobians


class Flow(Contributions, Jacobians):
    """The gradient flow of a model on one sequence.

    Compiled graphs compute everything in float64, when it is first used.

    Parameters
    ----------
    model : theano_rnn.RNN
        Its dropout is off, and its truncation does not matter: the flow is that of the full
        gradient, and a truncation scheme is a choice among its contributions.
    x, y : (T,) token ids
    state : (S,) array, optional
        The state before the first step; zeros by default.

    Raises
    ------
    RNNError
        For bad tokens, and if the states overflow. Measures of all pairs of steps raise it if
        their arrays do not fit into the memory.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> flow = Flow(RNN(7, 4, seed=1), [0, 3, 1, 2], [3, 1, 2, 5])
    >>> flow.norms.shape                                  # |dE_t/ds_k|, 0 above the diagonal
    (4, 4)
    >>> float(round(flow.shares("W").sum(), 12))          # all contributions are the gradient
    1.0
    """
