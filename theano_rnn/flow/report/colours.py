"""The colours of figures, the same in PNG and page, and their counterparts on a dark page.

All pairs differ by a CIELAB dE of at least 25, also as readers without red or green cones see
them (tests/flow/report/test_colours.py). Lines differ in their dashes too.
"""

#: The error and what it adds to the gradient; the product of Jacobians; a bound; states.
ORANGE, INK, GREY, BLUE = "#c2410c", "#17202b", "#8e939b", "#1f5fbf"
#: A fitted line, and others.
GOLD, SKY = "#d9a800", "#4aa3df"
#: Each colour on a dark page.
DARK = {
    ORANGE: "#ff8a4c",
    INK: "#f0f3f6",
    GREY: "#6b7280",
    BLUE: "#6aa6ff",
    GOLD: "#f2cc0c",
    SKY: "#4759e6",
}
