"""Which systems and baselines a model folder may name, and where their classes are; nothing is imported here."""

from __future__ import annotations

from collections.abc import Mapping

SYSTEMS: Mapping[tuple[str, str], str] = {
    ("classcond", "modern"): "soli.systems.classcond.separator:ClassCond",
    ("classcond", "paper"): "soli.systems.classcond.paper:ClassCondPaper",
    ("mask_inference", "paper"): "soli.baselines.mask_inference:MaskInference",
    ("flowprior", "modern"): "soli.systems.flowprior.separator:FlowPrior",
    ("flowprior", "paper"): "soli.systems.flowprior.paper:InstGlow",
    ("latentcluster", "modern"): "soli.systems.latentcluster.separator:LatentCluster",
    ("latentcluster", "slots"): "soli.systems.latentcluster.slots:LatentSlots",
    ("latentcluster", "paper"): "soli.systems.latentcluster.paper:LatentClusterPaper",
    ("vqquery", "modern"): "soli.systems.vqquery.separator:VQQuery",
    ("vqquery", "paper"): "soli.systems.vqquery.paper:VQQueryPaper",
    ("rqvae", "modern"): "soli.systems.rqvae.separator:RQVAE",
    ("rqvae", "paper"): "soli.systems.rqvae.paper:RQVAEPaper",
    ("rqvae", "music"): "soli.systems.rqvae.music.separator:RQVAEMusic",
    ("hpss", "classical"): "soli.baselines.hpss:HPSS",
    ("repet", "classical"): "soli.baselines.repet:Repet",
    ("nmf", "classical"): "soli.baselines.nmf:NMF",
    ("open_unmix", "paper"): "soli.baselines.open_unmix:OpenUnmix",
    ("wave_unet", "paper"): "soli.baselines.wave_unet:WaveUNet",
    ("conv_tasnet", "paper"): "soli.baselines.conv_tasnet:ConvTasNet",
    ("diffusion", "paper"): "soli.baselines.diffusion.separator:Diffusion",
    ("demucs", "paper"): "soli.baselines.demucs_architecture:DemucsArchitecture",
    ("gan_prior", "paper"): "soli.baselines.gan_prior.separator:GANPrior",
}
"""(system, preset) -> where its class is; the class has `__init__(self, config)` and a `Config` dataclass."""

BUNDLED: Mapping[str, str] = {
    "default": "classcond-modern",
    "classcond": "classcond-modern",
    "vqquery": "vqquery",
    "rqvae": "rqvae-modern",
    "rqvae-music": "rqvae-music",
}
"""Name a user may load -> its folder under `weights`."""
