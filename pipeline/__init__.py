"""What the stages share: settings, media decoding, stores, protocol, training, evaluation and report."""
