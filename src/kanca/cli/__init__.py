"""The command line: one file per noun, each a thin shell over the API.

What is heavy to import is imported by the commands that need it, so that ``kanca --help`` answers at once.
"""
