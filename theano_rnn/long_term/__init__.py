"""Tasks whose answer lies far back, and what helps a network to learn them.

``tasks``     the tasks
``net``       the network that learns one
``remedies``  what is tried: clipping, Omega, initializations, optimizers
``trial``     one training on one task
``grid``      many trials
"""
