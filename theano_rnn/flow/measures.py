"""``Measures``: all measures of a network on a text, those of its base classes.

Outputs t and steps k count from 1 to T as in the equations; in an array they are row t-1 and
column k-1.
"""

from theano_rnn.flow.conditioning import Conditioning
from theano_rnn.flow.contributions import Contributions
from theano_rnn.flow.exponents import Exponents


class Measures(Contributions, Conditioning, Exponents):
    """What ``Flow`` measures."""
