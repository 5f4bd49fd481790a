"""Parameters before the first step."""

import numpy as np


def uniform(hidden_size: int, vocab_size: int, seed: int, dtype: str) -> dict:
    """Each matrix uniform in +-1/sqrt(n), n the number of inputs of a unit (the tutorial's).

    Parameters
    ----------
    hidden_size, vocab_size : int
    seed : int
    dtype : str

    Returns
    -------
    dict
        U (hidden_size, vocab_size), V (vocab_size, hidden_size), W (hidden_size, hidden_size).
    """
    random = np.random.default_rng(seed)
    shapes = {
        "U": (hidden_size, vocab_size),
        "V": (vocab_size, hidden_size),
        "W": (hidden_size, hidden_size),
    }
    return {
        name: random.uniform(-(n**-0.5), n**-0.5, (m, n)).astype(dtype)
        for name, (m, n) in shapes.items()
    }
