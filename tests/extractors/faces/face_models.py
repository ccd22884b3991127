"""The face models of params.yaml with single options changed, and real faces to run them on."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from extractors.faces.facenet import FaceNet
from extractors.faces.mtcnn import MTCNN
from pipeline.config import load_params
from pipeline.media import sample_frames

ROOT = Path(__file__).parents[3]
_PARAMS = load_params(ROOT / "params.yaml")


def mtcnn(**changes: object) -> MTCNN:
    """MTCNN with the options of params.yaml, some of them changed."""
    return MTCNN(MTCNN.Options.model_validate(_PARAMS.detect_faces.options | changes), torch.device("cpu"))


def facenet(**changes: object) -> FaceNet:
    """FaceNet with the options of params.yaml, some of them changed."""
    return FaceNet(FaceNet.Options.model_validate(_PARAMS.embed_faces.options | changes), torch.device("cpu"))


def portraits(side: int = 360, people: int = 4) -> list[np.ndarray]:
    """A face each of some people of the shipped corpus, (side, side, 3) RGB uint8."""
    images = []
    for folder in sorted((ROOT / "data/demo").glob("id*"))[:people]:
        (frame,) = sample_frames(min(folder.glob("*.mp4")), 1.0, 1)
        images.append(np.array(Image.fromarray(frame.image).resize((side, side), Image.Resampling.BILINEAR)))
    return images


def photos(shared: Path, shorter_side: int) -> dict[str, np.ndarray]:
    """facenet-pytorch's test photos by name, (H, W, 3) RGB uint8, scaled as its own test does."""
    images = {}
    for path in sorted((shared / "data/facenet_pytorch_faces/test_images").glob("*/*.jpg")):
        image = Image.open(path).convert("RGB")
        factor = shorter_side / min(image.size)
        size = (int(image.width * factor), int(image.height * factor))
        images[path.parent.name] = np.array(image.resize(size, Image.Resampling.BILINEAR))
    return images


def grid_frames(shared: Path, frames_per_clip: int) -> dict[str, list[np.ndarray]]:
    """Frames (288, 360, 3) of the GRID clips, one a second, by file name."""
    clips = sorted((shared / "data/grid").glob("*.mpg"))
    return {clip.name: [frame.image for frame in sample_frames(clip, 1.0, frames_per_clip)] for clip in clips}
