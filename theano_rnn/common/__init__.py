"""What every room uses.

``errors``      the exceptions of this package
``types``       names for the types in signatures
``validation``  checks of arguments, each with its message
``fields``      the kinds of values of a dataclass's fields
``names``       what a misspelt name may have meant
``options``     the fields as options of a command, and as a page of the docs
``files``       atomic writes, bounded reads, locks
``tensors``     safetensors files
``process``     whether this process can run Theano at all
``memory``      how much memory this process may use
``extras``      what is installed only on request
``theano_wheel``  theano-pymc for the Pythons that its own set-up refuses
"""
