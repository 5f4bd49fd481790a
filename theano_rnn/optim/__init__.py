"""One step of training: gradient, penalties, clipping, update.

``step``            the compiled step
``optimizers``      SGD, momentum, Nesterov, AdaGrad, RMSProp, Adam; clipping
``regularization``  L2 and Omega
"""
