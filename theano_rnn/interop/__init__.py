"""Parameters from other programs and for them.

Public are ``RNN.save``, ``RNN.load``, ``RNN.from_torch``, ``RNN.to_torch``, ``RNN.from_npz`` and,
for programs with PyTorch, ``theano_rnn.interop.torch_module.load``.

``model_file``    a network in one safetensors file
``torch_state``   parameters with PyTorch's names and layout, in a safetensors file
``torch_tensors`` what the tensors of such a file say of the network
``torch_names``   other names of the same tensors
``torch_module``  the network as a PyTorch module, for such a file
``npz``           arrays of .npz and .npy files, such as the tutorial's published parameters
"""
