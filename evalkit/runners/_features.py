"""What a model sees in pictures, computed once for prompts that follow one another and show the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any


class Features:
    """Remembers the features of the pictures that a model was last shown.

    Prompts whose text stands before the pictures, as MMLongBench-Doc's, have no beginning in common, and each question
    about a document would have its pages encoded again.
    """

    def __init__(self, model: Any) -> None:
        self._encoders = [each for each in model.modules() if hasattr(each, "get_image_features")]
        self._shown: Hashable = None
        self._seen: dict[tuple[int, int], Any] = {}

    @contextmanager
    def of(self, shown: Hashable) -> Iterator[None]:
        """Within, features are those of before if `shown`, which names the pictures and their order, is as before."""
        if shown != self._shown:
            self._shown, self._seen = shown, {}
        try:
            for number, encoder in enumerate(self._encoders):
                encoder.get_image_features = self._once(number, encoder.get_image_features)
            yield
        finally:
            for encoder in self._encoders:
                vars(encoder).pop("get_image_features", None)  # and the class's is there again

    def forget(self) -> bool:
        """Let go of what is remembered; return whether there was any."""
        held, self._shown, self._seen = bool(self._seen), None, {}
        return held

    def give_up(self) -> bool:
        """Remember nothing from now on, since memory is short; return whether anything was held."""
        self._encoders = []
        return self.forget()

    def _once(self, number: int, compute: Any) -> Any:
        calls = 0

        def remembered(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            place, calls = (number, calls), calls + 1
            if place not in self._seen:
                self._seen[place] = compute(*arguments, **options)
            return self._seen[place]

        return remembered
