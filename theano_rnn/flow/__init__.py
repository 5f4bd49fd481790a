"""Gradient flow: how far back the error reaches, why it stops there, what helps.

``flow``      ``Flow``: the measures of a model on a text, which show themselves
``followed``  which network it follows, what it reads, and for which loss; ``of_torch``, of a
              module of PyTorch
``measures``  all of these measures, from six modules:
              ``states``, the forward pass; ``errors``, how far the error reaches;
              ``contributions``, to the gradient; ``jacobians``, and of these the
              ``exponents``; ``conditioning``, the rank of long products
``graphs``    the compiled functions of a single step, which the measures call
``pairs``     which pairs of outputs and steps a truncation scheme keeps; sums by lag
``evidence``  what is seen of the error by lag, and how sure that is; ``decay``, its rate,
              half-life and horizon
``curves``    activations and gates, and where a model is on them
``sample``    several texts measured; ``pool``, what a verdict needs of them
``verdict``   the verdict; ``labels``, what it calls a flow; ``words``, its sentences;
              ``reasons``, why; ``advice``, what helps
``findings``  all that a report shows, measured once; ``sentence``, the text to measure
``report``    the report: page, PNGs, terminal
``credit``    ways to assign credit through time, side by side
``demo``      the tutorial's fault, and four networks side by side, without a run
``watch``     a few of the measures after each epoch of a training
"""

from theano_rnn.flow.credit import credit
from theano_rnn.flow.flow import Flow
from theano_rnn.flow.pairs import by_lag, reach
from theano_rnn.flow.sample import Sample
from theano_rnn.flow.verdict import Verdict, verdict
from theano_rnn.flow.watch import watched

__all__ = ["Flow", "Sample", "Verdict", "by_lag", "credit", "reach", "verdict", "watched"]
