"""The verdict on a gradient flow: does it vanish or explode, why, and what helps.

Three cases differ. |J| <= gamma sigma_max(W) < 1 at every step *proves* that the gradient
vanishes; if it is 1, that it cannot explode. On some texts a rate per step is *observed*. If
gamma sigma_max(W) is above 1, or no such bound is known, the bound *proves nothing*: it allows
both.
"""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Callable, Optional

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow import words
from theano_rnn.flow.advice import advise
from theano_rnn.flow.decay import Piece, horizon_of, left_by_lag
from theano_rnn.flow.evidence import Evidence, Range, evidence
from theano_rnn.flow.labels import DECAYS, EXPLODES, GROWS, PROVED, VANISHES, label_of
from theano_rnn.flow.pool import Pool
from theano_rnn.flow.reasons import Measured, reasons

if TYPE_CHECKING:
    from theano_rnn.training.settings import Settings


@dataclass(frozen=True)
class Verdict:
    """The verdict on a gradient flow.

    Attributes
    ----------
    kind : str
        "proved to vanish", "observed to vanish", "decays slowly", "kept", "grows slowly",
        "observed to explode", or "too short to say": see ``labels``.
    observed : str
        The kind that the texts alone show, never "proved to vanish".
    words : str
        The same in a few sentences, with the numbers.
    bound : float or None
        ``Flow.bound``.
    bound_says : str
        What the bound proves, or that it proves nothing here.
    guaranteed : int or None
        The lag by which a bound below 1 leaves at most 1 % of any gradient.
    rate : float or None
        The share of |dE_t/dh_k| that each step back leaves: exp of the slope of a line fitted to
        its mean log by lag; of the last of two lines, where one does not fit.
    rate_start : float or None
        The value at lag 0 of the fitted line rate_start * rate^n.
    half_life : float or None
        Steps until half of it is left; if it grows, until it has doubled.
    horizon : int or None
        The lag from which on less than 1 % of it is left, for lstm less than 1 % of the error at
        lag 1; None where the texts have no such lag.
    zeros : float
        Share of the pairs t > k whose dE_t/dh_k is exactly 0.
    reasons : tuple of str
    remedies : tuple of str
        Options of ``scripts/train.py`` that would help and are not set yet, each with its effect;
        of a module of PyTorch, what does the same there.
    texts : int
        The number of texts.
    rate_range : Range or None
        Of the rate, in 95 % of the draws: of the texts, or of the parts of one.
    spread : Range or None
        Of the rates of single texts, 95 % of them; None of fewer than five.
    grown : int or None
        The lag from which on there is more than 100 times as much.
    left : float or None
        The share left at the longest lag that counts.
    pieces : tuple of Piece
        The fitted lines, one or two.
    longest : int or None
        The longest lag that counts.
    parts : dict
        The rate of each part of the state apart: of s and c for lstm, else of none.
    """

    kind: str
    observed: str
    words: str
    bound: Optional[float]
    bound_says: str
    guaranteed: Optional[int]
    rate: Optional[float]
    rate_start: Optional[float]
    half_life: Optional[float]
    horizon: Optional[int]
    zeros: float
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    texts: int = 1
    rate_range: Optional[Range] = None
    spread: Optional[Range] = None
    grown: Optional[int] = None
    left: Optional[float] = None
    pieces: tuple[Piece, ...] = ()
    parts: Optional[dict[str, float]] = None
    longest: Optional[int] = None

    def __repr__(self) -> str:
        return f"Verdict({self.kind!r}: {self.words})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        said = f"<b>{escape(self.kind)}</b><br>{escape(self.words)}<br>{escape(self.bound_says)}"
        return f"<p>{said}</p>{self.lists_html()}"

    def lists_html(self, written: Callable[[str], str] = escape) -> str:
        """The reasons and the remedies as lists of HTML; ``written`` turns a text into HTML."""
        parts = []
        for title, lines in ("Because", self.reasons), ("What helps", self.remedies):
            if lines:
                items = "".join(f"<li>{written(line)}</li>" for line in lines)
                parts.append(f"<p>{title}</p><ul>{items}</ul>")
        return "".join(parts)


def verdict(
    flow: Measured, settings: Optional["Settings"] = None, products: Optional[Floats] = None
) -> Verdict:
    """The verdict on a flow, however short the text or odd the numbers.

    Parameters
    ----------
    flow : Flow or Sample
        On one text, or on several: a sample says how much texts differ.
    settings : Settings, optional
        The settings of the run: the verdict does not advise what they already do. By default
        only those of the network.
    products : (T,) array, optional
        The share of |ds_t/ds_k| left by lag, of one text: the words tell if it disagrees with
        the errors.

    Examples
    --------
    >>> from theano_rnn import RNN, Flow
    >>> model = RNN(7, 4, initialization="spectral:0.1")
    >>> verdict(Flow(model, [0, 3, 1, 2, 6], [3, 1, 2, 6, 5])).kind
    'proved to vanish'
    """
    e = evidence(_texts(flow.norms), flow.first_lag)
    bound, observed = flow.bound(), label_of(e)
    kind = PROVED if words.is_below_one(bound) else observed
    vanishes, explodes = kind in (PROVED, VANISHES, DECAYS), kind in (EXPLODES, GROWS)
    # What still is more than half of it needs no remedy.
    is_felt = kind not in (DECAYS, GROWS) or not 0.5 < e.left[-1] < 2
    parts = {}
    for name, norms in flow.part_norms.items():
        last = evidence(_texts(norms), flow.first_lag).last
        if last is not None:
            parts[name] = last.rate
    said = words.words_of(kind, observed, e, parts)
    if products is not None and not isinstance(flow, Pool) and e.left.any():
        horizon = horizon_of(left_by_lag(flow.norms, flow.first_lag))
        said += words.disagreement(horizon, horizon_of(products))
    rate = None if e.last is None else e.last.rate
    advice = advise(
        flow, vanishes and is_felt, (explodes and is_felt) or e.surge is not None, settings
    )
    has_bias = flow.architecture.bias
    written = [each.in_torch(has_bias) if flow.is_module else str(each) for each in advice]
    return Verdict(
        kind=kind,
        observed=observed,
        words=said,
        bound=bound,
        bound_says=words.bound_says(flow.architecture, bound),
        guaranteed=words.guaranteed_by(bound),
        rate=rate,
        rate_start=None if e.last is None else e.last.start,
        half_life=e.half_life,
        horizon=e.horizon,
        zeros=e.zeros,
        reasons=tuple(reasons(flow, vanishes, explodes, _felt(e))),
        remedies=tuple(line for line in written if line),
        texts=e.texts,
        rate_range=e.rate,
        spread=e.spread,
        grown=e.grown,
        left=None if e.last is None else float(e.left[-1]),
        pieces=e.pieces,
        parts=parts or None,
        longest=None if e.last is None else e.longest,
    )


def _felt(e: Evidence) -> Optional[float]:
    """What each step leaves where most is lost or gained: up to the horizon, else in the end."""
    if e.last is None:
        return None
    ended = e.horizon if e.horizon is not None else e.grown
    return next((p.rate for p in e.pieces if ended is not None and ended <= p.last), e.last.rate)


def _texts(norms: "Floats | list[Floats]") -> list[Floats]:
    return [norms] if isinstance(norms, np.ndarray) else norms
