"""evalkit asks a vision-language model the published benchmarks and puts its score beside the published one."""

__version__ = "0.1.0"
