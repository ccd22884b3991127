"""Colour of skin at a point of the mean head: mottle, flush, lids, age, marks, and collar."""

import math

from tools.corpus.sampling import bump, dim, kernel, mix, sample, step

# Each kernel takes the colour so far, the place `at` = (x, y, z, |x|) in dm on the mean head, and the person's Look.


@kernel
def mottled(at, look, clouds, speckle):
    """Bare skin with its grain, and the coarse grain's value."""
    x, y, z, _ = at
    coarse = sample(clouds, x * 60 + look.grain_x, y * 60 + z * 25)
    fine = sample(speckle, x * 190 + look.grain_y, y * 190 + z * 60)
    medium = sample(clouds, x * 200 + look.grain_x * 2, y * 200 + z * 90)
    level = 1 + 0.035 * coarse * look.mottle + 0.02 * medium + 0.012 * fine
    skin = look.skin
    return (skin[0] * level, skin[1] * level * (1 - 0.006 * coarse), skin[2] * level * (1 - 0.01 * coarse)), coarse


@kernel
def flushed(colour, at, look):
    """Cheeks and nose redder, the hollow under the eye darker."""
    _, y, _, across = at
    cheek = math.exp(-(((across - 0.42) / 0.17) ** 2) - ((y - 6.98) / 0.16) ** 2) * look.blush
    nose = math.exp(-((across / 0.1) ** 2) - ((y - 6.92) / 0.1) ** 2) * 0.45 * look.red_nose
    red = cheek + nose
    colour = dim(colour, 1, 1 - 0.22 * red, 1 - 0.2 * red)
    hollow = math.exp(-(((across - 0.30) / 0.11) ** 2) - ((y - 7.185) / 0.035) ** 2) * look.dark_circles
    return dim(colour, 1 - 0.25 * hollow, 1 - 0.3 * hollow, 1 - 0.22 * hollow)


@kernel
def lidded(colour, at, look):
    """Eye shadow, and the dark line where the lashes root."""
    _, y, _, across = at
    shadow = math.exp(-(((across - 0.32) / 0.15) ** 2) - ((y - 7.37) / 0.05) ** 2) * look.eye_shadow_strength
    colour = mix(colour, look.eye_shadow, 0.5 * shadow)
    ring = ((across - 0.322) / 0.135) ** 2 + ((y - 7.283 - 0.12 * (across - 0.32)) / 0.062) ** 2
    line = 1 - (1 - step(0.75, 1.45, ring)) * look.lash_line
    return dim(colour, line, line, line)


@kernel
def wrinkled(colour, at, look, coarse, front):
    """Lines of the forehead, beside nose and mouth, at the eyes' corners and between the brows."""
    if look.wrinkles <= 0:
        return colour
    _, y, _, across = at
    depth = 0.0
    for row in range(3):
        line = 7.66 + 0.105 * row + 0.02 * math.cos(across * 7 + row) + 0.008 * coarse
        depth += bump(y, line, 0.013) * (1 - step(0.25, 0.45, across))
        foot = 7.27 + (row - 1) * (across - 0.45) * 0.55
        depth += 0.8 * bump(y, foot, 0.009) * step(0.47, 0.50, across) * (1 - step(0.56, 0.64, across))
    fold = across - 0.17 - (6.93 - y) * 0.42
    depth += bump(fold, 0.0, 0.028) * step(6.58, 6.7, y) * (1 - step(6.85, 6.98, y)) * front
    frown = bump(across, 0.05 + 0.01 * coarse, 0.012)
    depth += 0.9 * frown * step(7.38, 7.44, y) * (1 - step(7.52, 7.6, y)) * front
    depth = min(1.0, depth) * 0.7 * look.wrinkles * front
    return dim(colour, 1 - 0.28 * depth, 1 - 0.36 * depth, 1 - 0.36 * depth)


@kernel
def marked(colour, at, look, speckle, front):
    """Freckles and moles."""
    x, y, _, _ = at
    if look.freckles > 0:
        spot = step(1.3, 2.0, sample(speckle, x * 75 + look.grain_y + 50, y * 75))
        spot *= look.freckles * math.exp(-(((y - 7.02) / 0.28) ** 2)) * front
        colour = dim(colour, 1 - 0.25 * spot, 1 - 0.42 * spot, 1 - 0.5 * spot)
    for mole in range(3):
        dx, dy = x - look.moles[mole][0], y - look.moles[mole][1]
        spot = (1 - step(0.4, 1.0, (dx * dx + dy * dy) / look.mole_radius**2)) * front
        colour = dim(colour, 1 - 0.6 * spot, 1 - 0.68 * spot, 1 - 0.7 * spot)
    return colour


@kernel
def collar_height(at, look):
    """Height (dm) of the cloth's edge, dipping at the front by the neckline."""
    _, _, z, across = at
    return look.collar + 0.30 * step(0.0, 1.0, across) - 0.42 * step(0.3, 1.3, z) * look.v_neck


@kernel
def clothed(at, look, speckle, coarse, edge):
    """Colour of the cloth, with its weave, stripes and a darker hem."""
    x, y, _, _ = at
    level = 1 + 0.05 * sample(speckle, x * 90, y * 90) + 0.04 * coarse
    level *= 1 - 0.25 * bump(y, edge - 0.05, 0.02)
    if look.stripes > 0 and math.sin(y * look.stripe_frequency) > 0:
        level *= 0.72
    cloth = look.cloth
    return cloth[0] * level, cloth[1] * level, cloth[2] * level
