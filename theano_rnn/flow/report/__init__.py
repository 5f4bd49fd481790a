"""A report of the gradient flow: one page, its pictures, the terminal.

``folder``       writes the report's folder
``html``         the page
``figures``      the figures, described once; ``marks`` and ``axes``, what they are made of
``interactive``  draws them with Plotly, for the page
``png``          draws them with Matplotlib, as PNG
``terminal``     the report in characters
"""
