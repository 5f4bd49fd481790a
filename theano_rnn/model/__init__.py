"""The network as Theano expressions: one word from its id to the loss.

``architecture``    which network: its settings and the shapes of its parameters
``batch_inputs``    token ids, checked and arranged for the compiled functions
``cells``           one step of each recurrence
``truncation``      the loop over the steps, and where its gradient is cut
``graph``           cell, loop, softmax, loss
``network``         a network whose parameters are shared variables
``initialization``  how the parameters begin
"""
