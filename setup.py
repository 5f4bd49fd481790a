"""Only what pyproject.toml cannot say: the requirements, theano-pymc's wheel among them."""

import sys
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from theano_rnn.common import theano_wheel

pins = [line.split("#")[0].strip() for line in (HERE / "requirements.txt").open()]
theano = theano_wheel.requirements(HERE / "build" / "wheels")
setup(install_requires=[*theano, *filter(None, pins)])
