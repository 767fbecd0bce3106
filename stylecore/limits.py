"""How large the numbers in a Preset may be. A module of its own, because the command line needs no more to explain
itself."""

MAX_STEPS = 20_000
MIN_SIZE, MAX_SIZE = 32, 16_384  # pixels at which the optimiser works
