"""Tasks whose answer lies far back, and what helps a network to learn them.

``tasks``     the tasks
``net``       the network that learns one
``remedies``  what may help: clipping, Omega, initializations, optimizers
``trial``     one training on one task
``grid``      many trials, written down as all combinations of some settings
``results``   the records of trials, a table and a picture of them
"""
