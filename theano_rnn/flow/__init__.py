"""The gradient-flow laboratory: how far back the error reaches, why it stops there, what helps.

``measures``  errors, contributions, Jacobians, saturation, exponents of a model on a text
``pairs``     of outputs and steps: those that a truncation scheme keeps, sums by lag
``curves``    activations and gates, and where the model is on them
``verdict``   what they say, in words: proved or seen to vanish or explode, why, and what helps
``findings``  all that a report shows, measured once; ``sentence``, of which text
``report``    its folder: ``page``, ``figures``, ``axes`` (Plotly), ``pictures`` (PNG)
``terminal``  the same in characters
``demo``      the tutorial's fault, and four recurrences side by side, without a run
``watch``     a few of them after each epoch of a training
``graphs``    the compiled functions of a single step that all of it is computed with
"""

from theano_rnn.flow.measures import Flow
from theano_rnn.flow.pairs import by_lag, reach
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.flow.watch import watched

__all__ = ["Flow", "Verdict", "by_lag", "reach", "verdict", "watched"]
