"""Contract checks, shipped: what every separator and every quantiser promises, run on yours."""

from soli.testing.quantizers import check_quantizer
from soli.testing.separators import check_separator

__all__ = ["check_quantizer", "check_separator"]
