"""The learning rate: what an epoch leaves of it, and the share of it that a step takes."""

import math

from theano_rnn.training.settings import Settings

#: The last share of the training, in which trapezoid, and plateau with minutes, lower the rate.
ANNEALED = 0.2
#: A step needs a rate above 0.
LEAST = 1e-6


def next_rate(settings: Settings, epoch: int, rate: float, loss: float, best: float) -> float:
    """The learning rate after an epoch.

    Parameters
    ----------
    settings : Settings
    epoch : int
        The one just done, counted from 1.
    rate : float
        Its learning rate.
    loss, best : float
        Its validation loss, and the lowest one before it.
    """
    is_enough = True
    if settings.scheduled == "plateau":
        is_enough = loss <= best * (1 - settings.min_improvement)
    elif settings.lr_decay_after is not None:
        is_enough = epoch < settings.lr_decay_after
    return rate * (1.0 if is_enough else settings.lr_decay)


def factor(settings: Settings, share: float) -> float:
    """The factor of the learning rate in a step.

    With w the warm-up and t the share of the rest that is done, it is t' = share / w at first.
    Then cosine has e + (1 - e) (1 + cos(pi t)) / 2, with e the share at the end. Trapezoid, and
    plateau with minutes, fall in a line from 1 to e in the last fifth, or in what the warm-up
    leaves of it. Otherwise it is 1.

    Parameters
    ----------
    settings : Settings
    share : float
        The share of the training that is done before the step; see ``Budget.share``.

    Returns
    -------
    float
        Above 0, and at most 1.

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts (2017),
    equation 5, without restarts. A. Hägele et al., Scaling laws and compute-optimal training
    beyond fixed training durations (2024): a constant rate with a cooldown, in place of a cosine.
    """
    warmup, end = settings.warmup, settings.lr_end
    if share < warmup:
        return max(share / warmup, LEAST)
    left = 1.0
    if settings.scheduled == "cosine":
        done = (share - warmup) / (1 - warmup)
        left = (1 + math.cos(math.pi * done)) / 2
    elif settings.is_annealed:
        left = min(1.0, (1 - share) / min(ANNEALED, 1 - warmup))
    return max(end + (1 - end) * left, LEAST)
