"""A matplotlib backend that draws into memory; the figures are collected at the end of a cell."""

from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas
from matplotlib.backends.backend_agg import new_figure_manager

__all__ = ["FigureCanvas", "new_figure_manager", "show"]


def show(*arguments: object, **named: object) -> None:
    """Nothing to do: open figures become outputs when the cell ends."""
