import pickle
from pathlib import Path

from soak import damage
from soak.damage.bait import Bait


def test_a_damaged_directory_is_refused(models: Path, tmp_path: Path) -> None:
    outcome = damage.run(models, tmp_path, flips=20, starts=1)
    assert outcome.held, outcome.seen


def test_the_bait_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bait(tmp_path / "mark")))
    assert (tmp_path / "mark").is_dir()
