"""The figures that the paper prints, and those of other work beside which it prints them.

Source: Saeed et al., "Single-branch Network for Multimodal Training", ICASSP 2023, arXiv 2303.06129, Tables I to V and
Figures 3 and 4. All on VoxCeleb1, unseen-unheard test identities. EER, AUC and accuracies in percent.
"""

SOURCE = "arXiv 2303.06129"
LOSSES = {"fop": "FOP", "center": "Center", "git": "Git"}
Pair = tuple[float | None, float | None]  # EER, AUC; None where a publication does not give it

# loss -> EER, AUC by kind of network
TABLE_1: dict[str, dict[str, Pair]] = {
    "fop": {"single": (27.5, 79.7), "two": (28.0, 80.0), "voice": (8.6, 97.1), "face": (14.4, 93.1)},
    "center": {"single": (25.8, 81.6), "two": (31.4, 75.3), "voice": (9.6, 96.7), "face": (13.1, 93.9)},
    "git": {"single": (25.7, 82.4), "two": (31.3, 75.5), "voice": (9.6, 96.7), "face": (13.1, 93.9)},
}
# The order that gave Table I's single-branch figures, by its agreement with Table IV.
TABLE_1_ORDER = {"fop": "vfvf", "center": "fvfv", "git": "fvfv"}

# loss -> AUC by criterion (vocabulary.PUBLISHED), single and two-branch
TABLE_2: dict[str, dict[str, tuple[float, ...]]] = {
    "fop": {"single": (79.7, 59.6, 53.5, 74.3, 51.5), "two": (80.0, 64.1, 53.7, 74.3, 52.1)},
    "center": {"single": (81.6, 68.6, 52.0, 76.1, 52.7), "two": (75.3, 63.6, 50.8, 71.3, 53.2)},
    "git": {"single": (82.4, 68.3, 52.8, 76.9, 52.7), "two": (75.5, 63.7, 50.9, 71.5, 52.7)},
}

# Other methods of Table III, and those of Figure 4 that it leaves out.
TABLE_3_OTHERS: dict[str, Pair] = {
    "DIMNet": (24.9, None),
    "Learnable PINs": (29.6, 78.5),
    "MAV-Celeb": (29.0, 78.9),
    "Deep Latent Space": (29.5, 78.8),
    "Multi-view": (28.0, None),
    "Adversarial-Metric": (None, 80.6),
    "Disentangled": (25.0, 84.6),
    "VFDN": (None, None),
    "SVHF": (None, None),
}
# Later work on the same trials.
TABLE_3_LATER: dict[str, Pair] = {"PAEFF (2025)": (22.9, 84.4), "MSM (2026)": (None, None)}
# Git's AUC is 82.5 in this table alone, 82.4 elsewhere in the paper.
TABLE_3: dict[str, Pair] = {"fop": (27.5, 79.7), "center": (25.8, 81.6), "git": (25.7, 82.5)}

ORDERS = {"hefhev": "HeFHeV", "hevhef": "HeVHeF", "random": "Random", "vfvf": "VFVF", "fvfv": "FVFV"}
TABLE_4: dict[str, dict[str, Pair]] = {
    "hefhev": {"fop": (33.8, 72.1), "center": (26.0, 81.6), "git": (25.8, 81.9)},
    "hevhef": {"fop": (36.5, 69.2), "center": (26.7, 81.0), "git": (27.0, 80.8)},
    "random": {"fop": (28.8, 74.4), "center": (25.9, 82.1), "git": (25.8, 82.5)},
    "vfvf": {"fop": (27.5, 79.7), "center": (26.0, 81.6), "git": (25.8, 82.4)},
    "fvfv": {"fop": (27.6, 79.9), "center": (25.8, 81.6), "git": (25.7, 82.4)},
}

# epochs on one modality before the other -> EER, AUC with FOP
TABLE_5: dict[int, Pair] = {1: (33.2, 71.1), 2: (32.7, 71.9), 3: (33.5, 70.0), 5: (35.2, 69.5)}

# Matching accuracy, voice to face, read off published plots: approximate. Method -> accuracy by size of gallery.
FIGURE_4_SIZES = (2, 4, 6, 8, 10)
FIGURE_4: dict[str, tuple[float, ...]] = {
    "FOP, two-branch (2022)": (83.4, 63.5, 50.7, 42.2, 37.4),
    "DIMNet": (84.0, 65.0, 52.0, 44.0, 38.0),
    "SVHF": (81.0, 61.7, 48.4, 40.8, 34.2),
    "Learnable PINs": (84.0, 54.0, 42.0, 36.0, 30.0),
    "Deep Latent Space": (78.0, 56.0, 42.0, 36.0, 30.0),
}

# The labels of these lists do not alternate, but the official code takes every even row for genuine.
PARITY_WRONG = {"N": 46.4, "GNA": 40.8}  # percent of the labels, unseen-unheard
