"""Real servers for tests and benchmarks, out of wheels: nothing is installed on the machine."""
