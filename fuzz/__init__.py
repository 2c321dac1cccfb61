"""What nobody would send, made by coverage: each target stops by itself, and fails on what is not declared."""
