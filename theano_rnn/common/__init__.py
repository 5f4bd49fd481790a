"""What every room uses: errors, types, validation of arguments, files.

``errors``      the exceptions of this package
``types``       names for the types in signatures
``validation``  checks of arguments, each with its message
``files``       whole or not at all: atomic writes
``memory``      how much memory this machine has
"""
