"""Shared by the tests of searches and of cross-validation."""

import pytest

from fasttrain.model_selection.batch.planner import Batch


@pytest.fixture
def batches(monkeypatch):
    """Counts the searches that went through a batch."""
    made = []
    run = Batch.run

    def counted(self, candidates):
        made.append(len(candidates) * len(self.folds))
        return run(self, candidates)

    monkeypatch.setattr(Batch, "run", counted)
    return made
