import numpy as np
import pytest
from scipy import stats

from kvae import evaluation
from kvae.tables import Schema

pd = pytest.importorskip("pandas")


def table(num: int, seed: int, shift: float = 0.0):
    rng = np.random.default_rng(seed)
    a = rng.normal(shift, 1, num)
    frame = pd.DataFrame(
        {
            "a": a,
            "b": a + rng.normal(0, 0.5, num),
            "noise": rng.normal(size=num),
            "job": rng.choice(["boss", "clerk", "cook"], num, p=[0.2, 0.5, 0.3]),
            "class": np.where(a + rng.normal(0, 0.3, num) > 0, "good", "bad"),
        }
    )
    frame.loc[rng.random(num) < 0.1, "noise"] = np.nan
    return frame


def test_distances_are_those_of_scipy_and_of_shares() -> None:
    real, other = table(400, 0), table(400, 1, shift=0.4)
    found = evaluation.compare_tables(real, other)
    by_name = dict(zip(found.names, found.distances, strict=True))
    expected = stats.ks_2samp(real["a"], other["a"]).statistic
    assert by_name["a"] == pytest.approx(expected)
    shares = [f["job"].value_counts(normalize=True).sort_index() for f in (real, other)]
    assert by_name["job"] == pytest.approx(0.5 * np.abs(shares[0] - shares[1]).sum())
    assert found.worst_column in ("a", "class")
    same = evaluation.compare_tables(real, real)
    assert same.mean_distance == 0
    assert same.mean_pair_difference == 0
    gone = other.assign(noise=np.nan)
    worst = evaluation.compare_tables(real, gone)
    assert worst.worst_column == "noise"
    assert worst.worst_distance == 1


def test_associations_are_those_of_scipy() -> None:
    real = table(500, 0)
    found = evaluation.compare_tables(real, real)
    at = {name: i for i, name in enumerate(found.names)}
    assert found.associations[at["a"], at["b"]] == pytest.approx(
        abs(stats.spearmanr(real["a"], real["b"]).statistic)
    )
    counts = pd.crosstab(real["job"], real["class"])
    assert found.associations[at["job"], at["class"]] == pytest.approx(
        stats.contingency.association(counts, method="cramer")
    )
    ranks = real["a"].rank()
    groups = [ranks[real["class"] == level] for level in ("good", "bad")]
    between = sum(len(g) * (g.mean() - ranks.mean()) ** 2 for g in groups)
    ratio = np.sqrt(between / ((ranks - ranks.mean()) ** 2).sum())
    assert found.associations[at["a"], at["class"]] == pytest.approx(ratio)


def test_a_copy_gives_its_rows_away_and_fresh_rows_do_not() -> None:
    train, test, fresh = (table(300, seed) for seed in range(3))
    copy = evaluation.table_quality(train, test, train, "class")
    assert copy.membership_auc > 0.99
    assert copy.copies == 1
    assert copy.copies_of_held_out == 0
    assert copy.closest_record == 0
    assert copy.trained_on_real == copy.trained_on_synthetic
    assert "AUC of 1.00" in copy.warning
    other = evaluation.table_quality(train, test, fresh, "class")
    # The AUC of a guess on 300 + 300 rows has a standard error of 0.024.
    assert abs(other.membership_auc - 0.5) < 0.08
    assert other.copies == 0
    assert other.closest_record == pytest.approx(
        other.closest_record_of_held_out, rel=0.15
    )
    assert other.trained_on_real > 0.9
    assert abs(other.trained_on_real - other.trained_on_synthetic) < 0.06


def test_rows_without_the_target_s_dependence_are_useless() -> None:
    train, test = table(300, 0), table(300, 1)
    shuffled = train.assign(**{"class": train["class"].sample(frac=1).to_numpy()})
    found = evaluation.table_quality(train, test, shuffled)
    assert found.target == "class"
    assert found.score_name == "AUC"
    assert found.trained_on_synthetic < 0.75 < found.trained_on_real
    number = evaluation.table_quality(train, test, table(300, 2), "b")
    assert number.score_name == "R2"
    # b = a + noise of a fifth of its variance: no model explains more than 0.8.
    assert 0.6 < number.trained_on_synthetic < 0.85


def test_what_cannot_be_compared_is_refused() -> None:
    train = table(50, 0)
    with pytest.raises(ValueError, match="target must be a column"):
        evaluation.table_quality(train, train, train, "klass")
    with pytest.raises(ValueError, match="no column 'b'"):
        evaluation.compare_tables(train, train.drop(columns="b"))
    told = Schema.of(train, kinds={"noise": "ignored"})
    assert "noise" not in evaluation.compare_tables(train, train, told).names
