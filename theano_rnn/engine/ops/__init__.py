"""Ops in C and C++, faster than Theano's, and the rewrites that replace Theano's by them.

``activations``    tanh and the sigmoid in code that the C compiler vectorises
``softmax``        softmax cross-entropy and its gradient in one pass over the logits
``rows``           rows of a matrix by number, and sums over a matrix
``skinny_gemm``    products of a matrix with few rows and one with many
``bf16``           large products in bf16, the sums in float32
``zeros``          leaves out a sum of zeros and the gradient of a slice of everything
``updates``        updates of parameters and of an optimizer's state in one pass
``finite``         stops a function before it uses a number that is not finite
``with_gradient``  a variable whose gradient is what a function makes of its error
"""
