"""A matplotlib backend that draws into memory; the figures are collected at the end of a cell."""

from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

__all__ = ["FigureCanvas", "show"]


def show(*arguments: object, **named: object) -> None:
    """Nothing to do: open figures become outputs when the cell ends."""
