"""The network as Theano expressions: from token ids to the loss.

``cells``           one step of each recurrence, and what the package knows about it
``activations``     the activations of the cells in NumPy, for reports
``truncation``      the loop over the steps, and where its gradient is cut
``cuts``            the cuts of artbp, drawn at random, and their factors
``architecture``    the settings of a network, and the shapes of its parameters
``dropout``         the masks of dropout, their shapes, and how they are drawn
``graph``           cell, loop, softmax and loss as one graph
``initialization``  the first values of the parameters
``batch_inputs``    token ids, checked and arranged for the compiled functions
``network``         what a training step needs of a model: parameters, states, the graph
``functions``       the compiled functions: probabilities, loss, gradients, samples
``pieces``          long sequences in pieces, so that memory does not grow with them
``draw``            the next token, drawn from its probabilities
``jacobians``       products of a vector and the Jacobian of a state, for truncation
``later``           Theano, imported when the first graph is made
"""
