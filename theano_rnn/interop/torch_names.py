"""The names of a PyTorch state as other modules give them, and as ``torch_state`` reads them.

The names that users give are taken first. Then the prefixes of wrappers are left out (``module.``
of DataParallel, ``_orig_mod.`` of torch.compile, ``model.`` of Lightning). The recurrence is known
by its tensors, whatever the module is called: ``weight_hh_l0`` and ``net.core.weight_hh_l0`` are
``rnn.weight_hh_l0``. Another part is known by the usual names of its attribute: ``fc.bias`` is
``decoder.bias``. PyTorch's word_language_model calls its embedding ``encoder``.
"""

import re
from collections.abc import Mapping
from typing import Any

from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array
from theano_rnn.common.validation import shown

#: What DataParallel, torch.compile and Lightning put before each name.
WRAPPERS = ("module.", "_orig_mod.", "model.")

#: Usual names of the parts of a language model.
USUAL = {
    "embedding": ("encoder", "embed", "embeddings", "emb", "word_embeddings"),
    "decoder": ("fc", "linear", "out", "output", "head", "lm_head"),
}

#: The tensors of an nn.RNN, nn.GRU or nn.LSTM, with those that ``torch_state`` refuses.
RECURRENT = re.compile(r"(weight|bias)_(ih|hh|hr)_l[0-9]+(_reverse)?")


def renamed(state: Mapping[str, Array], names: Any = None) -> tuple[dict[str, Array], str]:
    """The state by the names of ``torch_state``, and what was renamed, in words.

    Parameters
    ----------
    state : dict of arrays
    names : dict or str, optional
        Names in the state, whole or up to a dot, with those to read them as; or a prefix: only
        the tensors below it are read, without it.

    Returns
    -------
    state : dict of arrays
    said : str
        "" if all names were the usual ones; otherwise as in "lstm is read as rnn".

    Raises
    ------
    RNNError
        If ``names`` is no dict of names, names a tensor that is not there, or two tensors get the
        same name.

    Examples
    --------
    >>> state, said = renamed({"module.lstm.bias_hh_l0": 1, "0.weight": 2}, {"0": "embedding"})
    >>> list(state), said
    (['rnn.bias_hh_l0', 'embedding.weight'], 'module.lstm is read as rnn, 0 as embedding')
    >>> list(renamed({"net.core.bias_hh_l0": 1, "net.norm.weight": 2}, "net.core")[0])
    ['rnn.bias_hh_l0']
    """
    if isinstance(names, str):
        state, names = _below(state, names), None
    given = _given(state, {} if names is None else names)
    found: dict[str, Array] = {}
    parts: dict[str, str] = {}
    for name, array in state.items():
        new = _usual(_replaced(name, given))
        if new in found:
            raise RNNError(
                f"two tensors are {new}; say with names which one it is: {holds(state)}"
            )
        found[new] = array
        theirs, ours = name.rpartition(".")[0] or name, new.rpartition(".")[0] or new
        if theirs != ours and not RECURRENT.fullmatch(name):
            parts[theirs] = ours
    said = ", ".join(
        f"{theirs} {'is read ' * (number == 0)}as {ours}"
        for number, (theirs, ours) in enumerate(parts.items())
    )
    return found, said


def _below(state: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The tensors whose names begin with the prefix and a dot, without both."""
    start = prefix.rstrip(".") + "."
    found = {name[len(start) :]: array for name, array in state.items() if name.startswith(start)}
    if not found:
        raise RNNError(f"names is {shown(prefix)}, and no tensor begins so: {holds(state)}")
    return found


def _given(state: Mapping[str, Array], names: Any) -> dict[str, str]:
    if not isinstance(names, Mapping) or not all(
        isinstance(name, str) for pair in names.items() for name in pair
    ):
        raise RNNError(
            "names must be a prefix, or a dict such as {'fc': 'decoder'}, the name in the file "
            f"first, not {shown(names)}"
        )
    for name in names:
        if not any(f"{theirs}.".startswith(f"{name}.") for theirs in state):
            raise RNNError(f"names has {shown(name)}, and no tensor begins so: {holds(state)}")
    return dict(names)


def _replaced(name: str, given: Mapping[str, str]) -> str:
    """A name with its beginning replaced by what the user gave for it, the longest first."""
    for theirs in sorted(given, key=len, reverse=True):
        if f"{name}.".startswith(f"{theirs}."):
            return given[theirs] + name[len(theirs) :]
    return name


def _usual(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    tensor = name.rpartition(".")[2]
    if RECURRENT.fullmatch(tensor):
        return f"rnn.{tensor}"
    first, dot, rest = name.partition(".")
    for part, others in USUAL.items():
        if first in others:
            return part + dot + rest
    return name


def holds(state: Mapping[str, Array]) -> str:
    """What a state holds, in words: each name with its shape."""
    names = [f"{name:.60} {getattr(array, 'shape', '')}" for name, array in state.items()]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"it holds {', '.join(names[:20]) or 'nothing'}{more}"
