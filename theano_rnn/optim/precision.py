"""The precision of the factors in a step's products of large matrices."""

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError

PRECISIONS = ("float32", "bf16", "auto")


def check_precision(precision: object, dtype: str) -> str:
    """The precision, if a model of a dtype can be trained with it on this machine.

    Parameters
    ----------
    precision : str
        "float32", which leaves products as precise as the model's dtype, "bf16", or "auto": bf16
        where it can be, float32 elsewhere.
    dtype : str
        Of the model's parameters.

    Returns
    -------
    str
        "float32" or "bf16".

    Raises
    ------
    RNNError
        For an unknown one, and for bf16 where the model is of float64, or the processor or the
        compiler does not have it.
    """
    precision = validation.one_of(precision, "precision", PRECISIONS)
    if precision == "float32":
        return precision
    from theano_rnn.engine.c_code import check_bf16, has_bf16  # import Theano; settings do not

    if precision == "auto":
        return "bf16" if dtype == "float32" and has_bf16() else "float32"
    if dtype != "float32":
        raise RNNError(
            f"precision bf16 is for models of float32, and this one is of {dtype}; make the model "
            "with dtype='float32' (THEANO_FLAGS=floatX=float32), or leave precision out"
        )
    check_bf16()
    return precision
