"""The released VoxCeleb1 protocol of Learnable PINs: splits, ten verification and eight 1:2 matching lists."""
