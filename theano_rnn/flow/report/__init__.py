"""A report of the gradient flow: one page, its pictures, the terminal.

``folder``    writes the report's folder
``html``      the page
``figures``   its interactive figures
``axes``      what figures and pictures share
``png``       the pictures
``terminal``  the same in characters
"""
