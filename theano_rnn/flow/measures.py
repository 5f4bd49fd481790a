"""Where the gradient goes: all the measures of a network on a text.

Indices: outputs t and steps k are counted from 1 to T as in the equations; row t-1 and column k-1
of an array are theirs.
"""

from theano_rnn.flow.contributions import Contributions
from theano_rnn.flow.jacobians import Jacobians


class Flow(Contributions, Jacobians):
    """The gradient flow of a model on one sequence.

    Everything is computed in float64 by compiled graphs when first asked for, and kept.

    Parameters
    ----------
    model : theano_rnn.RNN
        Its dropout is off, its truncation does not matter: the flow is that of the full gradient,
        and each scheme is a choice among its contributions.
    x, y : (T,) token ids
    state : (S,) array, optional
        Before the first step; zeros where not given.

    Raises
    ------
    RNNError
        For bad tokens; and by what needs an array for each pair of steps, if that would not fit
        into memory: the message has the size.

    Examples
    --------
    >>> from theano_rnn import RNN
    >>> flow = Flow(RNN(7, 4, seed=1), [0, 3, 1, 2], [3, 1, 2, 5])
    >>> flow.norms.shape                                  # |dE_t/ds_k|, 0 above the diagonal
    (4, 4)
    >>> float(round(flow.shares("W").sum(), 12))          # all contributions are the gradient
    1.0
    """
