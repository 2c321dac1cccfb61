"""The words of Kanca as types, and the decisions that need nothing but them. Standard library only."""
