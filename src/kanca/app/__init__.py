"""The composition root: settings in, processes out. Nothing else knows everyone."""
