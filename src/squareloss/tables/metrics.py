"""The tables that one extraction job writes from the snapshots of a block."""

from squareloss.tables.bounds import BOUNDS
from squareloss.tables.collapse import COLLAPSE
from squareloss.tables.layers import LAYERS
from squareloss.tables.margins import MARGINS

METRICS = (MARGINS, COLLAPSE, LAYERS, BOUNDS)
