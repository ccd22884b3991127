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


def moved(centres, vectors, labels, rate):
    centres = [[float(value) for value in centre] for centre in centres]
    after = []
    for number, centre in enumerate(centres):
        own = [vector for vector, label in zip(vectors, labels, strict=True) if int(label) == number]
        delta = [sum(c - float(vector[d]) for vector in own) / (1 + len(own)) for d, c in enumerate(centre)]
        after.append([c - rate * change for c, change in zip(centre, delta, strict=True)])
    return after
