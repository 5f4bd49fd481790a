"""theano-rnn search: the same as a script."""

import sys

from theano_rnn.commands import run

if __name__ == "__main__":
    sys.exit(run("search"))
