"""The statistics agree with scipy and statsmodels, and keep their promises over simulated experiments."""

import math
import random

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower, TTestPower

from dlcoder.experiments import comparisons, contrasts, intervals, power, ranking
from dlcoder.experiments.distributions import noncentral_t_cdf, t_cdf, t_quantile, t_two_sided

DEGREES = (1, 2, 3, 4.7, 9, 30, 500, 20_000)


@pytest.mark.parametrize("df", DEGREES)
def test_students_t_agrees_with_scipy(df: float) -> None:
    for t in (-1e6, -8, -2.1, -0.3, 0, 1e-3, 0.1, 0.7, 2, 5, 40):
        assert t_cdf(t, df) == pytest.approx(stats.t.cdf(t, df), abs=1e-10)
        assert t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9, abs=1e-300)
    for share in (1e-6, 0.001, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9995):
        assert t_quantile(share, df) == pytest.approx(stats.t.ppf(share, df), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("df", (1, 2, 4, 9, 30, 200))
def test_the_noncentral_t_agrees_with_scipy(df: float) -> None:
    compared = 0
    for shift in (-3, -0.5, 0, 0.4, 2, 6, 12, 25):
        for t in (-4, -1, 0, 0.5, 2, 3, 8, 30):
            expected = stats.nct.cdf(t, df, shift)
            # scipy has no answer in some tails.
            assert noncentral_t_cdf(t, df, shift) == pytest.approx(0 if math.isnan(expected) else expected, abs=1e-9)
            compared += not math.isnan(expected)
    assert compared > 40


@pytest.mark.parametrize("n", (2, 3, 5, 10, 40))
@pytest.mark.parametrize("effect", (0.05, 0.5, 1.0, 3.0))
def test_power_agrees_with_statsmodels(n: int, effect: float) -> None:
    for ours, theirs in (
        (power.power(effect, n, correlation=0.5), TTestPower().power(effect, n, 0.05)),
        (power.power(effect, n, paired=False, alpha=0.01), TTestIndPower().power(effect, n, 0.01)),
    ):
        # statsmodels has no answer where a tail is empty, far out.
        theirs = 1.0 if math.isnan(theirs) and effect * math.sqrt(n) > 8 else theirs
        assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("effect", "target", "options", "seeds"),
    [
        (0.5, 0.8, {"paired": False}, 64),
        (0.8, 0.9, {"paired": False}, 34),
        (2.0, 0.8, {"paired": False}, 6),
        (0.5, 0.8, {"correlation": 0.5}, 34),
        (0.8, 0.8, {"correlation": 0.8}, 8),
        (1.0, 0.8, {"correlation": 0.9}, 4),
    ],
)
def test_the_seeds_are_those_of_the_textbook(effect: float, target: float, options: dict, seeds: int) -> None:
    assert power.seeds_needed(effect, target, **options) == seeds
    detectable = power.detectable_effect(seeds, target, **options)
    assert detectable <= effect * (1 + 1e-6)
    assert power.detectable_effect(seeds - 1, target, **options) > effect


def test_what_no_number_of_seeds_can_show_is_said() -> None:
    assert power.seeds_needed(1e-6) is None
    assert power.power(5, 1) == 0 and power.detectable_effect(1) == math.inf


def test_the_range_of_a_deviation_agrees_with_scipy() -> None:
    for n in (2, 3, 5, 10, 60):
        bounds = [math.sqrt((n - 1) / stats.chi2.ppf(share, n - 1)) for share in (0.975, 0.025)]
        assert power.deviation_range(1.0, n) == pytest.approx(bounds, rel=1e-9)


def samples(count: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.76, 0.01, (count, n))


@pytest.mark.parametrize("n", (2, 3, 5, 8, 13, 40))
def test_comparisons_agree_with_scipy(n: int) -> None:
    for arm, control in samples(5, 2 * n).reshape(5, 2, n):
        paired = comparisons.compare_paired(arm, control)
        expected = stats.ttest_rel(arm, control)
        assert paired.p == pytest.approx(expected.pvalue, abs=1e-9)
        assert paired.interval == pytest.approx(tuple(expected.confidence_interval()), abs=1e-9)
        welch = comparisons.compare_unpaired(arm, control[: max(2, n - 2)])
        expected = stats.ttest_ind(arm, control[: max(2, n - 2)], equal_var=False)
        assert welch.p == pytest.approx(expected.pvalue, abs=1e-9)
        assert welch.interval == pytest.approx(tuple(expected.confidence_interval()), abs=1e-9)
        mean = stats.t.interval(0.95, n - 1, arm.mean(), stats.sem(arm))
        assert intervals.t_interval(arm) == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("n", (3, 6, 9))
@pytest.mark.parametrize("digits", (1, 2, 12), ids=("many ties", "some ties", "no ties"))
def test_rank_and_permutation_tests_agree_with_scipy(n: int, digits: int) -> None:
    def absolute_mean(x: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.abs(np.mean(x, axis=axis))

    for row in np.random.default_rng(n).normal(0.1, 0.2, (6, n)).round(digits):
        kept = row[row != 0]
        if len(kept) > 1:
            exact = stats.PermutationMethod(n_resamples=np.inf)
            assert comparisons.wilcoxon_p(row) == pytest.approx(stats.wilcoxon(kept, method=exact).pvalue, abs=1e-9)
        expected = stats.permutation_test(
            (row,), absolute_mean, permutation_type="samples", n_resamples=np.inf, alternative="greater"
        )
        assert comparisons.sign_flip_p(row) == pytest.approx(expected.pvalue, abs=1e-9)


def test_many_pairs_are_permuted_at_random_and_alike_each_time() -> None:
    row = np.random.default_rng(3).normal(0.3, 1.0, 30)
    p = comparisons.sign_flip_p(row)
    assert p == comparisons.sign_flip_p(row)
    assert p == pytest.approx(stats.ttest_1samp(row, 0).pvalue, abs=0.02)


def test_holm_agrees_with_statsmodels() -> None:
    draw = random.Random(0)
    for count in (1, 2, 5, 20):
        for _ in range(5):
            p_values = [draw.choice((0.01, draw.random() ** 3)) for _ in range(count)]
            expected = multipletests(p_values, method="holm")[1]
            assert comparisons.holm(p_values) == pytest.approx(list(expected), abs=1e-9)


@pytest.mark.parametrize("n", (2, 3, 8, 25))
def test_the_bootstrap_agrees_with_scipy_on_the_same_resamples(n: int) -> None:
    # Binary fractions: sums are exact in any order, so that ties are ties in both.
    values = np.random.default_rng(n).exponential(1.0, n)
    values = (values * 1024).round() / 1024
    expected = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=4000, rng=np.random.default_rng(1))
    ours = intervals.bca_interval(list(values), list(expected.bootstrap_distribution), 0.95)
    assert ours == pytest.approx(tuple(expected.confidence_interval), rel=1e-9)
    assert intervals.bootstrap_interval(list(values)) == intervals.bootstrap_interval(list(values))
    if n > 3:
        again = intervals.bootstrap_interval(list(values), seed=1)
        assert again == pytest.approx(tuple(expected.confidence_interval), rel=0.1)


def test_hedges_g_is_the_corrected_difference_in_pooled_deviations() -> None:
    arm, control = samples(2, 5)
    pooled = math.sqrt((arm.var(ddof=1) + control.var(ddof=1)) / 2)
    assert comparisons.hedges_g(arm, control) == pytest.approx(
        (arm.mean() - control.mean()) / pooled * 0.90276, rel=1e-3
    )
    assert comparisons.hedges_g([1.0, 1.0], [2.0, 2.0]) is None


def test_one_run_is_no_finding_and_equal_runs_have_no_p() -> None:
    alone = comparisons.compare({0: 1.0}, {0: 0.5})
    assert (alone.test, alone.difference) == ("none", 0.5)
    assert alone.p is None and alone.interval is None and alone.effect is None
    assert intervals.t_interval([0.5]) is None and intervals.bootstrap_interval([0.5]) is None
    assert comparisons.compare({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}).p is None


def test_seeds_in_common_are_paired_and_others_are_not() -> None:
    control = {0: 1.0, 1: 2.1, 2: 3.0}
    assert comparisons.compare({0: 1.5, 1: 2.5, 9: 7.0}, control).n == 2
    assert comparisons.compare({0: 1.5, 8: 2.5, 9: 7.0}, control).test == "Welch t"


def simulated(trials: int, n: int, effect: float = 0.0, correlation: float = 0.0) -> np.ndarray:
    """Results of many experiments: (trials, 2 arms, n seeds), the first arm better by the effect."""
    draw = np.random.default_rng(7)
    common, own = draw.normal(size=(trials, 1, n)), draw.normal(size=(trials, 2, n))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own + np.array([[effect], [0]])


def p_values(runs: np.ndarray, *, paired: bool) -> np.ndarray:
    """All at once by scipy, with which ours is compared on some."""
    arms, controls = runs[:, 0], runs[:, 1]
    if paired:
        found, test = stats.ttest_rel(arms, controls, axis=1).pvalue, comparisons.compare_paired
    else:
        found, test = stats.ttest_ind(arms, controls, axis=1, equal_var=False).pvalue, comparisons.compare_unpaired
    ours = [test(arm, control).p for arm, control in runs[:100].tolist()]
    assert ours == pytest.approx(list(found[:100]), abs=1e-9)
    return found


@pytest.mark.parametrize(
    ("effect", "correlation", "paired"), [(1.0, 0.5, True), (0.8, 0.8, True), (2.0, 0.0, True), (1.5, 0.0, False)]
)
def test_the_planned_power_is_reached_over_simulated_experiments(
    effect: float, correlation: float, paired: bool
) -> None:
    n = power.seeds_needed(effect, 0.8, paired=paired, correlation=correlation)
    planned = power.power(effect, n, paired=paired, correlation=correlation)
    found = p_values(simulated(20_000, n, effect, correlation), paired=paired) < 0.05
    # Welch's degrees of freedom cost a little at small n.
    assert planned >= 0.8 and found.mean() == pytest.approx(planned, abs=0.01 if paired else 0.03)


@pytest.mark.parametrize("n", (3, 5, 10))
def test_false_findings_stay_at_alpha_and_intervals_cover(n: int) -> None:
    runs = simulated(20_000, n)
    assert (p_values(runs, paired=True) < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    covered = mean_covered = 0
    for arm, control in runs[:3000].tolist():
        low, high = comparisons.compare_paired(arm, control).interval
        covered += low <= 0 <= high
        low, high = intervals.t_interval(arm)
        mean_covered += low <= 0 <= high
    assert covered / 3000 == pytest.approx(0.95, abs=0.01)
    assert mean_covered / 3000 == pytest.approx(0.95, abs=0.01)


def test_several_comparisons_corrected_by_holm_make_no_more_false_findings_together() -> None:
    trials, arms, n = 3000, 4, 5
    runs = samples(trials, (arms + 1) * n, seed=5).reshape(trials, arms + 1, n).tolist()
    wrong = 0
    for control, *others in runs:
        corrected = comparisons.holm([comparisons.compare_paired(arm, control).p for arm in others])
        wrong += min(corrected) < 0.05
    assert wrong / trials <= 0.05 + 0.01


def test_the_bootstrap_covers_where_it_is_meant_to_be_used() -> None:
    trials, n = 200, 20
    runs = samples(trials, n, seed=11).tolist()
    covered = sum(low <= 0.76 <= high for low, high in map(intervals.bootstrap_interval, runs))
    assert covered / trials == pytest.approx(0.93, abs=0.04)


def test_interactions_are_the_difference_of_differences_of_the_seeds_that_all_share() -> None:
    draw = np.random.default_rng(2)
    control, one, other, both = ({seed: float(v) for seed, v in enumerate(draw.normal(size=7))} for _ in range(4))
    del one[6]
    arms = [({"a": 1}, one), ({"b": "x"}, other), ({"a": 1, "b": "x"}, both), ({"a": 2, "b": "x"}, both)]
    (found,) = contrasts.contrasts(arms, control)
    values = [both[s] - one[s] - other[s] + control[s] for s in range(6)]
    expected = stats.ttest_1samp(values, 0)
    assert (found.name, found.n) == ("a=1 x b=x", 6) and found.effect == pytest.approx(np.mean(values), abs=1e-12)
    assert (found.p, found.p_holm) == (pytest.approx(expected.pvalue, abs=1e-9),) * 2
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()), abs=1e-9)
    assert contrasts.contrasts(arms[:2], control) == []


def test_what_each_change_adds_to_all_is_compared_with_all_but_it() -> None:
    every = {"a": 1, "b": True, "c": "x"}
    draw = np.random.default_rng(3)
    whole, *without = ({seed: float(v) for seed, v in enumerate(draw.normal(size=5))} for _ in range(4))
    arms = [
        ({k: v for k, v in every.items() if k != name}, values) for name, values in zip("abc", without, strict=True)
    ]
    found = contrasts.contrasts([*arms, (every, whole)], {})
    assert [each.name for each in found] == ["a=1 within all", "b=True within all", "c=x within all"]
    expected = [stats.ttest_rel(list(whole.values()), list(values.values())).pvalue for values in without]
    assert [each.p for each in found] == pytest.approx(expected, abs=1e-9)
    assert [each.p_holm for each in found] == pytest.approx(list(multipletests(expected, method="holm")[1]), abs=1e-9)


def test_the_best_of_k_is_the_expected_maximum() -> None:
    values = [0.7, 0.9, 0.8]
    assert ranking.best_of(values, 1) == pytest.approx(0.8)
    every = [max(a, b) for a in values for b in values]
    assert ranking.best_of(values, 2) == pytest.approx(sum(every) / 9)
    assert ranking.best_of(values, 2, lower_is_better=True) == pytest.approx(
        sum(min(a, b) for a in values for b in values) / 9
    )


def test_clear_ranks_are_stable_and_close_ones_are_not() -> None:
    draw = random.Random(0)
    arms = {
        "far": {seed: 5 + draw.gauss(0, 0.1) for seed in range(5)},
        "a": {seed: draw.gauss(0, 1) for seed in range(5)},
        "b": {seed: draw.gauss(0, 1) for seed in range(5)},
    }
    ranks = ranking.rank_stability(arms)
    assert (ranks["far"].observed, ranks["far"].first, ranks["far"].high) == (1, 1.0, 1)
    assert {ranks["a"].low, ranks["a"].high} == {2, 3}
    assert ranking.rank_stability(arms, lower_is_better=True)["far"].observed == 3
    unpaired = ranking.rank_stability({"x": {0: 1.0, 1: 2.0}, "y": {5: 0.0, 6: 0.1}})
    assert unpaired["x"].first == 1.0
