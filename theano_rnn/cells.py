"""One step of each recurrence. The loop over the steps is in ``truncation``."""

from theano_rnn.engine import tensor


def tanh_step(p_t, s_before, W_T):
    """s_t = tanh(p_t + W s_{t-1}): the tutorial's recurrence (Elman 1990).

    Parameters
    ----------
    p_t : (B, H) expression
        U x_t, the input of this step, for B sequences.
    s_before : (B, H) expression
        s_{t-1}
    W_T : (H, H) expression
        W transposed.

    Returns
    -------
    s_t : (B, H) expression
    """
    return tensor.tanh(p_t + tensor.dot(s_before, W_T))
