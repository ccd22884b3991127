"""What is trained, and then asked whether a face and a voice are of one person: a file a method; contract: base.py."""

from pipeline.methods.base import Batch, Method, Sizes, build_method, method_class, register
from pipeline.methods.official import load_official_checkpoint

__all__ = ["Batch", "Method", "Sizes", "build_method", "load_official_checkpoint", "method_class", "register"]
