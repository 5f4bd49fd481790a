"""Speed and memory of ``RNN`` beside other programs, measured in the same run.

``stock``     the network in plain theano-pymc, as a careful user writes it
``peers``     the network in JAX and in PyTorch
``limit``     the matrix products of a step alone
``child``     a process that holds one program and takes SGD steps on request
``programs``  starts such processes, asks them, and times several in turns
``sections``  the measurements
``machine``   the processor, the versions and the date
"""
