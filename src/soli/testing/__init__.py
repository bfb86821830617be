"""Contract checks, shipped: what every separator, quantiser and flow promises, run on yours."""

from soli.testing.flows import check_flow
from soli.testing.quantizers import check_quantizer
from soli.testing.separators import check_separator

__all__ = ["check_flow", "check_quantizer", "check_separator"]
