"""SQLite: one file, one writer thread per process."""
