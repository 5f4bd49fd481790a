"""Speed and memory of RNN beside plain theano-pymc, measured in the same run.

``stock``     the tutorial's program as a careful user of theano-pymc writes it, nothing of ours
``child``     a process that holds one program, ours or stock, and takes SGD steps on request
``programs``  starting such processes, asking them, timing several of them alternately
``sections``  what is measured
``machine``   where it was measured

Nothing here prints; ``commands.benchmark`` shows the result.
"""
