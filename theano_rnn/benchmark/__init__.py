"""Speed and memory of ``RNN`` beside other programs, measured in the same run.

``stock``     the network in plain theano-pymc, as a careful user writes it
``peers``     the network in JAX and in PyTorch; ``pytensor_peer``, in PyTensor
``limit``     the matrix products of a step alone
``roofline``  the least time that this machine needs for a step
``child``     a process that holds one program and takes SGD steps on request
``programs``  starts such processes, asks them, and times several in turns
``sections``  the measurements
``whole``     one of them: a training as a whole beside its steps
``busy``      another one: steps beside other busy processes
``kept``      today's figures beside those of a kept result
``machine``   the processor, the versions and the date
"""
