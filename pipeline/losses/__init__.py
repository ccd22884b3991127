"""What a network is trained with: one loss a file, named as in params.yaml; how one is added is in base.py."""

from pipeline.losses.base import Loss, LossInput, LossSizes, build_loss, loss_class, register

__all__ = ["Loss", "LossInput", "LossSizes", "build_loss", "loss_class", "register"]
