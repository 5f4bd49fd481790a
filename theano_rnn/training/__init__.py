"""From a text and settings to a trained network in a run folder.

``settings``     all settings in one block
``build``        the corpus, the network and the step that settings ask for
``recipes``      the settings of published systems
``loop``         epochs, learning rate, checkpoints
``evaluation``   loss of a text, dynamic evaluation
``run_folder``   what a run leaves on disk
``sampling``     sentences drawn from a network
``load``         the network and the vocabulary of a run
``tensorboard``  metrics as TensorBoard events
"""
