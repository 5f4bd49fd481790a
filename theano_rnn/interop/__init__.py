"""Parameters from other programs and for them.

``torch_state``   PyTorch's parameters as a safetensors file
``torch_module``  a network of ours as a PyTorch module
``npz``           NumPy's archives, such as the tutorial's published parameters
"""
