"""Numbered notebooks that teach back-propagation, and the grader that checks them."""

__version__ = "0.1.0"
