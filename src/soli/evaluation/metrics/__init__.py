"""Every measure of quality: references first, estimates second; not a number where there is no answer."""

from soli.evaluation.metrics.artefacts import null_residual, seam_energy, silence_leakage
from soli.evaluation.metrics.bss_eval import BSSEval, bss_eval
from soli.evaluation.metrics.clusters import (
    Assignment,
    ClusterTable,
    assignment_entropy,
    best_permutation_si_sdr,
    cluster_table,
    silhouette,
)
from soli.evaluation.metrics.codebook import (
    adjusted_rand_index,
    class_code_histogram,
    completeness,
    dead_codes,
    homogeneity,
    normalized_mutual_information,
    perplexity,
    purity,
)
from soli.evaluation.metrics.ratios import sdr_global, si_sdr, si_sdr_improvement, snr
from soli.evaluation.metrics.reconstruction import Reconstruction, reconstruction
from soli.evaluation.metrics.spectral import log_spectral_distance, multi_resolution_spectral_distance

__all__ = [
    "Assignment",
    "BSSEval",
    "ClusterTable",
    "Reconstruction",
    "adjusted_rand_index",
    "assignment_entropy",
    "best_permutation_si_sdr",
    "bss_eval",
    "class_code_histogram",
    "cluster_table",
    "completeness",
    "dead_codes",
    "homogeneity",
    "log_spectral_distance",
    "multi_resolution_spectral_distance",
    "normalized_mutual_information",
    "null_residual",
    "perplexity",
    "purity",
    "reconstruction",
    "sdr_global",
    "seam_energy",
    "si_sdr",
    "si_sdr_improvement",
    "silence_leakage",
    "silhouette",
    "snr",
]
