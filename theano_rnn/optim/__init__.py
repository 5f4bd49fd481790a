"""One step of training: gradient, regularization, clipping, update.

``step``            the compiled step
``optimizers``      SGD, momentum, Nesterov, AdaGrad, RMSProp, Adam
``clipping``        by the norm of the gradient, or by the size of each element
``regularization``  L2, Omega, and penalties on activations
``flossing``        Lyapunov exponents as a loss
``averaging``       averages of the parameters over steps
``precision``       the precision of the factors in large products
``dynamic``         the step of dynamic evaluation
"""
