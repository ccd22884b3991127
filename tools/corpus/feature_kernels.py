"""Colour of what sits in or on the skin: beard, lips, brows, eyes, teeth, hair."""

import math

from tools.corpus.sampling import bump, dim, kernel, mix, sample, step, unit


@kernel
def beard_mask(at, look, front):
    """Where a beard of this cut grows, 0..1."""
    x, y, z, across = at
    lips = 1 - step(1.0, 1.5, (x / 0.30) ** 2 + ((y - 6.585) / 0.135) ** 2)
    cheek_line = 6.72 + 0.55 * max(0.0, across - 0.30) + 1.3 * max(0.0, across - 0.5)
    full = (1 - step(cheek_line - 0.05, cheek_line + 0.05, y)) * step(5.95, 6.2, y) * step(0.35, 0.5, z)
    moustache = bump(y + 0.35 * max(0.0, across - 0.08), 6.765, 0.045) * (1 - step(0.26, 0.34, across)) * front
    goatee = (1 - step(0.15, 0.24, across)) * (1 - step(6.44, 6.5, y)) * step(6.05, 6.2, y) * front
    corner = bump(across, 0.30, 0.035) * step(6.4, 6.46, y) * (1 - step(6.70, 6.76, y)) * front
    chosen = max(look.beard_full * full, look.beard_moustache * moustache, look.beard_goatee * max(goatee, corner))
    return chosen * (1 - lips)


@kernel
def bearded(colour, at, look, speckle, strands, front):
    """The colour with its beard, and how much of it is beard."""
    if look.beard <= 0:
        return colour, 0.0
    x, y, _, _ = at
    mask = beard_mask(at, look, front)
    bristle = sample(strands, x * 230 + look.grain_x, y * 60) * 0.5 + sample(speckle, x * 230, y * 140) * 0.5
    sparse = 2.2 * (1 - look.beard)
    share = mask * step(-1.6 + sparse, 0.2 + sparse, bristle + 1.6 * (mask - 0.5))
    share = min(1.0, share) * min(1.0, 0.25 + look.beard)
    return mix(colour, dim(look.hair, 0.8, 0.8, 0.8), share), share


@kernel
def lipped(colour, at, look, strands):
    """The colour with lips and the dark line between them, and how much of it is lip."""
    x, y, z, across = at
    if z <= 1.0 or across >= 0.33 or y <= 6.40 or y >= 6.76:
        return colour, 0.0
    reach = min(1.0, across / 0.272)
    bow = 1 - reach * reach
    upper = 6.602 + 0.088 * bow**0.75 - 0.016 * math.exp(-((x / 0.028) ** 2))
    lower = 6.602 - 0.122 * bow**0.62
    share = step(lower - 0.012, lower + 0.012, y) * (1 - step(upper - 0.010, upper + 0.010, y))
    share *= (1 - step(0.262, 0.285, across)) * 0.92
    level = 1 + 0.05 * sample(strands, x * 160, y * 20)
    colour = mix(colour, dim(look.lips, level, level, level), share)
    parting = bump(y, 6.602, 0.010) * (1 - step(0.26, 0.29, across))
    return dim(colour, 1 - 0.45 * parting, 1 - 0.55 * parting, 1 - 0.55 * parting), share


@kernel
def browed(colour, at, look, strands):
    """The colour with its brows, and how much of it is brow."""
    x, y, z, across = at
    along = (across - look.brow_start) / look.brow_length
    if along <= -0.12 or along >= 1.12 or z <= 0.7:
        return colour, 0.0
    within = min(1.0, max(0.0, along))
    phase = within / 0.66 * 0.5 if within < 0.66 else 0.5 + (within - 0.66) / 0.34 * 0.5
    centre = look.brow_height + look.brow_arch * math.sin(phase * math.pi) + look.brow_slope * within
    width = look.brow_width * (1 - 0.62 * step(0.45, 1.0, within)) * (0.8 + 0.2 * step(0.0, 0.2, within))
    slant = -0.9 if x > 0 else 0.9
    hairs = sample(strands, (x + (y - centre) * slant) * 330 + look.grain_x, y * 50)
    share = (1 - step(0.55, 1.15, abs(y - centre) / width + 0.12 * hairs)) * look.brow_strength
    share *= step(-0.06, 0.08, along) * (1 - step(0.92, 1.06, along)) * (0.86 + 0.14 * hairs)
    share = min(1.0, max(0.0, share))
    return mix(colour, look.brow, share), share


@kernel
def eye_colour(at, look, centre, gaze, strands):
    """Sclera, iris and pupil, shaded by the upper lid."""
    x, y, z, _ = at
    dx, dy, dz = unit(x - centre[0], y - centre[1], z - centre[2])
    angle = math.acos(min(1.0, max(-1.0, dx * gaze[0] + dy * gaze[1] + dz * gaze[2])))
    around = math.atan2(dy - gaze[1], dx - gaze[0])
    fibres = sample(strands, around * 26 + look.grain_x, angle * 30)
    out = angle / (0.435 * look.iris_size)
    level = (0.75 + 0.2 * fibres + 0.35 * bump(out, 0.55, 0.2)) * (1 - 0.75 * step(0.80, 1.0, out))
    level *= step(0.36, 0.44, out)  # the pupil
    inside = 1 - step(0.94, 1.06, out)
    white = (0.80 - 0.10 * step(0.5, 1.1, angle)) * (1 - inside)
    lid = 0.42 + 0.58 * (1 - step(7.285, 7.355, y))
    level *= inside
    iris = dim(look.iris, level, level, level)
    return (white + iris[0] + 0.01) * lid, (white * 0.955 + iris[1] + 0.01) * lid, (white * 0.93 + iris[2] + 0.01) * lid


@kernel
def tooth_colour(at, look):
    """Teeth with the dark gaps between them, gum above."""
    _, y, _, across = at
    if y > 6.74:
        return 0.45, 0.16, 0.16
    place = across * 16
    gap = 1 - 0.35 * bump(place - math.floor(place), 0.5, 0.08)
    return look.teeth[0] * gap, look.teeth[1] * gap, look.teeth[2] * gap


@kernel
def hair_colour(across, along, look, strands):
    """Hair colour along its strands, and the two grains that light it."""
    coarse = sample(strands, across * look.strand_scale + look.grain_x, along)
    fine = sample(strands, across * look.strand_scale * 3.1, along * 2)
    level = max(0.45, 1 + 0.17 * coarse + 0.13 * fine)
    hair = look.hair
    return (hair[0] * level, hair[1] * level, hair[2] * level), coarse, fine
