"""Warm up, stay, decay (Hu et al. 2024, arXiv 2404.06395): the length need not be known until the decay starts."""

from tools.voice_encoder.recipe import Optimiser


def decaying(step: int, settings: Optimiser) -> bool:
    """Whether `step` lies in the last part, where the rates fall."""
    return step >= settings.steps - settings.decay


def rate_factor(step: int, settings: Optimiser) -> float:
    """Factor on the peak rates at `step` (from 0)."""
    warm = min(1.0, (step + 1) / settings.warmup)
    left = (settings.steps - step) / settings.decay
    return min(warm, max(0.0, left))
