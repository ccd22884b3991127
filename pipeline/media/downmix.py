"""Several channels to one."""

import numpy as np

# Of the power that the mean of independent channels has: two equal channels whose correlation is below -.55. That of
# ordinary stereo is above 0; of a voice with its sign changed in one, and a hum 6 dB below it in both, it is -.6.
_CANCELLED = 0.45


class Downmix:
    """The mean of a file's channels, block by block, without its LFE; and whether the channels cancel each other in it.

    The LFE holds effects below 120 Hz and no voice, at up to 10 dB above the others. Channels cancel where one is the
    other with its sign changed, as a wrongly soldered cable makes it: hum and noise are left in the mean. That is known
    at the end of the file only, which is then read again with `only`, the index of the channel to be taken alone.
    """

    def __init__(self, only: int | None = None) -> None:
        self._only = only
        self._low_frequency: int | None = None
        self._samples = 0
        self._sums = np.zeros(0)  # (C,)
        self._products = np.zeros((0, 0))  # (C, C)

    def __call__(self, channels: np.ndarray, low_frequency: int | None = None) -> np.ndarray:
        """(C, n) -> (n,) float32; `low_frequency` is the index of the LFE."""
        count = len(channels)
        with np.errstate(all="ignore"):  # what comes of infinite samples is not finite either, and refused as such
            if count == 1:
                return np.asarray(channels[0] + 0.0, np.float32)  # + 0: -0 becomes 0, as in a mean
            if self._only is not None and self._only < count:
                return np.asarray(channels[self._only], np.float32)
            self._account(channels, low_frequency)
            main = channels if low_frequency is None else np.delete(channels, low_frequency, axis=0)
            total = np.add.reduce(main, axis=0, dtype=np.float64)
            return np.asarray(total / len(main), np.float32)

    @property
    def loudest_of_cancelled(self) -> int | None:
        """Index of the loudest channel where the channels cancel each other; None where they do not."""
        if not self._samples:
            return None
        means = self._sums / self._samples
        covariance = self._products / self._samples - np.outer(means, means)
        power = np.diag(covariance).copy()
        if self._low_frequency is not None:
            power[self._low_frequency] = 0
            covariance = np.delete(np.delete(covariance, self._low_frequency, 0), self._low_frequency, 1)
        cancelled = bool(covariance.sum() < _CANCELLED * np.trace(covariance))  # of NaN: False
        return int(power.argmax()) if cancelled else None

    def _account(self, channels: np.ndarray, low_frequency: int | None) -> None:
        count, samples = channels.shape
        if not self._samples:
            self._low_frequency = low_frequency
            self._sums, self._products = np.zeros(count), np.zeros((count, count))
        if len(self._sums) == count:  # a stream whose channels change is judged by how it begins
            self._sums += channels.sum(axis=1)
            self._products += np.einsum("cn,dn->cd", channels, channels)
            self._samples += samples
