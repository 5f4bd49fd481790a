"""A report of the gradient flow: one page, its pictures, the terminal.

``folder``       writes the report's folder
``html``         the page
``figures``      the figures, described once; ``marks`` and ``axes``, what they are made of
``colours``      their colours, in the light and in the dark
``interactive``  describes them for ``figures.js``, which draws them in the page
``symbols``      symbols as MathML, with what they mean; ``headline``, the first sentence
``png``          draws them with Matplotlib, as PNG
``terminal``     the report in characters
``credit``       the table and the picture of ``flow.credit``
"""
