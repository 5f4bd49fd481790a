"""Remedies for vanishing and exploding gradients, by name: what each changes in plain SGD.

==================================================  ==============================================
sgd                                                 nothing: W uniform in +-1/sqrt(n), no clipping
clip                                                scale a gradient down to a largest norm
omega                                               add Omega, which keeps the norm of the error
                                                    as it goes back in time
orthogonal, identity, spectral                      initialize W so; spectral has spectral radius 1
chrono                                              initialize the gates to keep the state for up
                                                    to the length of a sequence
momentum, nesterov, adagrad, rmsprop, adam          use this optimizer
flossing                                            draw Lyapunov exponents to 0 before training,
                                                    and now and then in it
snap1, local, immediate                             leave out what these methods of
                                                    ``theano_rnn.online`` leave out
uoro                                                the random gradient of this method, right on
                                                    average
rtrl                                                the gradient of this method is the full one,
                                                    so it is computed by backpropagation
==================================================  ==============================================

Another cell is a remedy too, but is not in this list.
"""

from typing import Any, NamedTuple

from theano_rnn.common.errors import RNNError
from theano_rnn.common.validation import one_of, shown
from theano_rnn.model.cells import CELLS
from theano_rnn.model.initialization import check_cell
from theano_rnn.optim.optimizers import OPTIMIZERS
from theano_rnn.optim.regularization import check_omega

#: The changes of each to ``PLAIN``; a combination is named in this order.
REMEDIES: dict[str, dict[str, Any]] = {
    "clip": {"is_clipped": True},
    "omega": {"has_omega": True},
    **{name: {"optimizer": name} for name in OPTIMIZERS},
    "orthogonal": {"initialization": "orthogonal"},
    "identity": {"initialization": "identity"},
    "spectral": {"initialization": "spectral:1"},
    "chrono": {"is_chrono": True},
    "flossing": {"is_flossed": True},
    **{name: {"credit": name} for name in ("rtrl", "snap1", "uoro", "local", "immediate")},
}


class Remedy(NamedTuple):
    """What a combination of remedies changes in training."""

    is_clipped: bool
    has_omega: bool
    is_chrono: bool
    initialization: str
    optimizer: str
    credit: str = "full"
    is_flossed: bool = False


PLAIN = Remedy(
    is_clipped=False, has_omega=False, is_chrono=False, initialization="uniform", optimizer="sgd"
)


def parse(text: str) -> Remedy:
    """The remedies of a text: "sgd", or names joined by + or commas, such as "clip+omega".

    Raises
    ------
    RNNError
        For a name that is not in REMEDIES, or two that exclude each other.

    Examples
    --------
    >>> parse("clip+orthogonal").initialization
    'orthogonal'
    """
    changes: dict[str, Any] = {}
    for name in names_of(text):
        one_of(name, "remedy", REMEDIES)
        for setting, value in REMEDIES[name].items():
            if changes.get(setting, value) != value:
                both = f"{setting} both {changes[setting]} and {value}"
                raise RNNError(f"remedy {shown(text)} sets the {both}; give one of them")
            changes[setting] = value
    return PLAIN._replace(**changes)


def check(text: str, cell: str) -> None:
    """Raise RNNError if a remedy is unknown, or not one for this cell.

    Parameters
    ----------
    text : str
        As for ``parse``.
    cell : str
    """
    remedy = parse(text)
    try:
        check_cell(remedy.initialization, cell)
        if remedy.has_omega:
            check_omega(cell, "full")
    except RNNError as error:  # it names settings of a training
        raise RNNError(f"{str(error).split(';')[0]}; leave the remedy out") from None
    backward = [name for name in ("omega", "flossing") if name in names_of(text)]
    if backward and remedy.credit not in ("full", "rtrl"):
        raise RNNError(
            f"{backward[0]} is for the error that goes all ways back, not with {remedy.credit}; "
            "leave one of them out"
        )
    if remedy.credit != "full":
        from theano_rnn.online import methods  # it waits for Theano

        methods.check_cell(remedy.credit, cell)
    if remedy.is_chrono and not CELLS[cell].chrono:
        gated = ", ".join(name for name in CELLS if CELLS[name].chrono)
        raise RNNError(f"chrono is for the cells {gated}, not {cell}; leave it out")


def ordered(text: str) -> str:
    """The same remedies, joined by + in the order of REMEDIES.

    Parameters
    ----------
    text : str
        As for ``parse``.

    Examples
    --------
    >>> ordered("omega, clip")
    'clip+omega'
    >>> ordered("sgd+clip"), ordered("sgd")
    ('clip', 'sgd')
    """
    names = [name for name in REMEDIES if name in names_of(text)]
    return "+".join(name for name in names if name != "sgd" or names == ["sgd"])


def names_of(text: str) -> list[str]:
    """The names in a text such as "clip+omega" or "clip, omega"."""
    text = text if isinstance(text, str) else shown(text)
    return [name.strip() for name in text.replace(",", "+").split("+")]
