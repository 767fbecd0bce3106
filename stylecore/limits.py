"""How large the numbers in a Preset may be. A module of its own, because the command line needs no more to explain
itself."""

MAX_STEPS = 20_000
MIN_SIZE, MAX_SIZE = 32, 16_384  # pixels at which the optimiser works
MIN_STYLE = 64  # pixels of a painting's style picture, on each side
MAX_EDGE = 32_768  # pixels of a Result's long edge, if one is asked for
MIN_DPI, MAX_DPI, PRINT_DPI = 30, 2400, 300
MAX_PRINT = 1000  # centimetres
