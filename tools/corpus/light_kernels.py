"""How a surface answers to light: wrapped diffuse, a highlight, a rim, sky and ground, and the key light's shadow."""

from tools.corpus.sampling import kernel, unit

_BIAS = 0.07  # dm: how much nearer to the light a blocker must be


@kernel
def lit_share(place, depths, axes, strength):
    """Share of the key light that reaches a place, softened over 5 x 5 texels of the shadow map."""
    x = axes[0, 0] * place[0] + axes[0, 1] * place[1] + axes[0, 2] * place[2]
    y = axes[1, 0] * place[0] + axes[1, 1] * place[1] + axes[1, 2] * place[2]
    depth = axes[2, 0] * place[0] + axes[2, 1] * place[1] + axes[2, 2] * place[2]
    column, row = int(axes[3, 0] + x * axes[3, 2]), int(axes[3, 1] - y * axes[3, 2])
    blocked, seen = 0.0, 0.0
    for i in range(max(0, row - 2), min(depths.shape[0], row + 3)):
        for j in range(max(0, column - 2), min(depths.shape[1], column + 3)):
            seen += 1
            blocked += depths[i, j] > depth + _BIAS
    return 1 - strength * blocked / seen if seen > 0 else 1.0


@kernel
def _diffuse(normal, direction, wrap):
    facing = normal[0] * direction[0] + normal[1] * direction[1] + normal[2] * direction[2]
    return max(0.0, (facing + wrap) / (1 + wrap))


@kernel
def _highlight(normal, eye, direction, gloss):
    halfway = unit(direction[0] + eye[0], direction[1] + eye[1], direction[2] + eye[2])
    aligned = max(0.0, normal[0] * halfway[0] + normal[1] * halfway[1] + normal[2] * halfway[2])
    facing = normal[0] * direction[0] + normal[1] * direction[1] + normal[2] * direction[2]
    return aligned**gloss * min(1.0, max(0.0, facing * 3))


@kernel
def _ambient(lamps, channel, upward):
    return lamps[4, channel] * upward + lamps[5, channel] * (1 - upward)


@kernel
def shade(colour, finish, normal, eye, lamps, lit, open_sky):
    """Light that leaves the surface towards the eye, linear RGB.

    finish: (highlight, gloss, wrap per channel (3)); lamps: rows key, its colour, fill, its colour, sky, ground
    (6, 3); lit: the key's share; open_sky: ambient share.
    """
    highlight, gloss, wraps = finish
    upward = 0.5 + 0.5 * normal[1]
    spot = highlight * _highlight(normal, eye, lamps[0], gloss) * lit
    facing = max(0.0, normal[0] * eye[0] + normal[1] * eye[1] + normal[2] * eye[2])
    rim = 0.24 * (1 - facing) ** 4 * highlight
    crevice = 0.55 + 0.45 * open_sky
    red_lit = min(1.0, lit + 0.06)  # light that enters skin comes out redder inside a shadow
    red = lamps[1, 0] * _diffuse(normal, lamps[0], wraps[0]) * red_lit
    green = lamps[1, 1] * _diffuse(normal, lamps[0], wraps[1]) * lit
    blue = lamps[1, 2] * _diffuse(normal, lamps[0], wraps[2]) * lit
    red += lamps[3, 0] * _diffuse(normal, lamps[2], wraps[0]) + _ambient(lamps, 0, upward) * open_sky
    green += lamps[3, 1] * _diffuse(normal, lamps[2], wraps[1]) + _ambient(lamps, 1, upward) * open_sky
    blue += lamps[3, 2] * _diffuse(normal, lamps[2], wraps[2]) + _ambient(lamps, 2, upward) * open_sky
    return (
        colour[0] * red * crevice + spot * lamps[1, 0] + rim,
        colour[1] * green * crevice + spot * lamps[1, 1] + rim,
        colour[2] * blue * crevice + spot * lamps[1, 2] + rim,
    )
