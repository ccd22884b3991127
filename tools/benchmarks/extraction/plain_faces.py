"""The plain loop over faces: facenet-pytorch as its README shows it, one frame after another, one process.

python -m tools.benchmarks.extraction.plain_faces frames.json out.npz --min-face 40 --weights casia-webface

Source of the procedure: timesler/facenet-pytorch, README.md, "Quick start". Its `InceptionResnetV1(pretrained=...)`
downloads weights; here the same network gets the weights that the stage uses.
"""

import argparse
import json
import time
from pathlib import Path

import av
import numpy as np
import torch

from extractors.faces.facenet_weights import facenet_weights, read_facenet
from pipeline.runtime.compat import import_facenet_pytorch


def main() -> None:
    """Embed the named frames of every clip; write vectors, what they belong to, and the loop's seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=Path, help="JSON: clip -> frame numbers, in the order of decoding")
    parser.add_argument("out", type=Path)
    parser.add_argument("--min-face", type=int, required=True)
    parser.add_argument("--weights", required=True)
    arguments = parser.parse_args()
    library = import_facenet_pytorch()
    mtcnn = library.MTCNN(image_size=160, margin=0, min_face_size=arguments.min_face)
    resnet = library.InceptionResnetV1(pretrained=None).eval()
    resnet.load_state_dict(read_facenet(facenet_weights(arguments.weights)[1]))
    start = time.monotonic()
    paths, numbers, vectors = [], [], []
    for path, wanted in json.loads(arguments.frames.read_text()).items():
        with av.open(path) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    face = mtcnn(frame.to_image())
                    if face is not None:
                        with torch.no_grad():
                            vectors.append(resnet(face.unsqueeze(0))[0].numpy())
                        paths.append(path)
                        numbers.append(number)
                if number == wanted[-1]:
                    break
    seconds = time.monotonic() - start
    np.savez(arguments.out, path=paths, frame=numbers, vectors=np.stack(vectors), seconds=seconds)


if __name__ == "__main__":
    main()
