"""The losses once more, as loops over their equations: slow, float64, and easy to check against the paper."""

import math


def dot(left, right):
    return sum(float(a) * float(b) for a, b in zip(left, right, strict=True))


def cosine(left, right):
    return dot(left, right) / math.sqrt(dot(left, left) * dot(right, right))


def squared_distance(left, right):
    return sum((float(a) - float(b)) ** 2 for a, b in zip(left, right, strict=True))


def cross_entropy(logits, labels):
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        total += math.log(sum(math.exp(float(value)) for value in row)) - float(row[int(label)])
    return total / len(labels)


def constraint(features, labels, form):
    positive, negative = [], []
    for i in range(len(labels)):
        for j in range(len(labels)):
            if i != j:
                (positive if labels[i] == labels[j] else negative).append(cosine(features[i], features[j]))
    if form == "printed":
        return 1.0 - sum(positive) + abs(sum(negative))
    mean_positive = sum(positive) / (len(positive) + 1e-6)
    return (1.0 - mean_positive) + 0.7 * sum(abs(value) for value in negative) / (len(negative) + 1e-6)


def center(vectors, labels, centres, form):
    squares = [squared_distance(vector, centres[int(label)]) for vector, label in zip(vectors, labels, strict=True)]
    if form == "printed":
        return 0.5 * sum(squares)
    return sum(squares) / (len(labels) * len(vectors[0]))


def git(vectors, labels, centres, form):
    total, terms = 0.0, 0
    for i in range(len(labels)):
        for j in range(len(labels)):
            centre = centres[int(labels[j])]
            if form == "printed":
                total += 0.0 if i == j else 1.0 / (1.0 + squared_distance(vectors[i], centre))
                continue
            for a, b in zip(vectors[i], centre, strict=True):
                total += 1.0 if i == j else 1.0 / (1.0 + (float(a) - float(b)) ** 2)
                terms += 1
    return total if form == "printed" else total / terms


def ntxent(anchors, labels, others, other_labels, temperature):
    """Anchors of one modality against the other: a mean over genuine pairs."""
    terms = []
    for anchor, label in zip(anchors, labels, strict=True):
        cosines = [cosine(anchor, other) / temperature for other in others]
        impostors = sum(math.exp(c) for c, name in zip(cosines, other_labels, strict=True) if name != label)
        for value, name in zip(cosines, other_labels, strict=True):
            if name == label:
                terms.append(-math.log(math.exp(value) / (math.exp(value) + impostors)))
    return sum(terms) / len(terms)


def multi_similarity(anchors, labels, others, other_labels, genuine_scale, impostor_scale, base):
    total = 0.0
    for anchor, label in zip(anchors, labels, strict=True):
        genuine = impostor = 0.0
        for other, name in zip(others, other_labels, strict=True):
            above = cosine(anchor, other) - base
            if name == label:
                genuine += math.exp(-genuine_scale * above)
            else:
                impostor += math.exp(impostor_scale * above)
        total += math.log(1.0 + genuine) / genuine_scale + math.log(1.0 + impostor) / impostor_scale
    return total / len(anchors)


def arcface(vectors, labels, weights, margin, scale):
    """`weights` one vector a class; margin in degrees."""
    total = 0.0
    for vector, label in zip(vectors, labels, strict=True):
        logits = []
        for number, weight in enumerate(weights):
            angle = math.acos(max(-1.0, min(1.0, cosine(vector, weight))))
            if number == int(label):
                margin_radians = math.radians(margin)
                inside = angle <= math.pi - margin_radians
                shifted = math.cos(angle + margin_radians)
                logits.append(
                    scale * (shifted if inside else math.cos(angle) - margin_radians * math.sin(margin_radians))
                )
            else:
                logits.append(scale * math.cos(angle))
        total += math.log(sum(math.exp(value) for value in logits)) - logits[int(label)]
    return total / len(vectors)


def moved(centres, vectors, labels, rate):
    centres = [[float(value) for value in centre] for centre in centres]
    after = []
    for number, centre in enumerate(centres):
        own = [vector for vector, label in zip(vectors, labels, strict=True) if int(label) == number]
        delta = [sum(c - float(vector[d]) for vector in own) / (1 + len(own)) for d, c in enumerate(centre)]
        after.append([c - rate * change for c, change in zip(centre, delta, strict=True)])
    return after
