"""Section 6: tables that support each claim, and tables that contradict it."""

from made_tables import (
    after_fit,
    course,
    flat,
    layers_of_lowrank,
    noise,
    problems,
    ranks,
    singles,
    slopes,
)

CASES = {
    "rank-falls-cnn": [
        {"figure3": after_fit({"stable_rank": flat(v)}, {"stable_rank": flat(9.0)})}
        for v in (5.0, 12.0)
    ],
    "lemma8-rank-one": [{"minibatch": problems(second_singular_value=s)} for s in (1e-16, 0.1)],
    "lemma8-no-equilibrium": [{"minibatch": singles(a, b)} for a, b in ((1.0, 1e-9), (1e-9, 1.0))],
    "eq53-bound": [{"minibatch": problems(full_speed=s)} for s in (1.0, 2.5)],
    "eq53-rank": [
        {"figure_lowrank_layers": layers_of_lowrank(s), "figure_lowrank": course(1.0)}
        for s in (1, -1)
    ],
    "rank-batch": [{"figure_lowrank": ranks(b, 0, 0, 0)} for b in (3, -3)],
    "rank-learning-rate": [{"figure_lowrank": ranks(0, r, 0, 0)} for r in (-3, 3)],
    "rank-weight-decay": [{"figure_lowrank": ranks(0, 0, d, 0)} for d in (-3, 3)],
    "rank-control": [{"figure_lowrank": ranks(b, 0, 0, c)} for b, c in ((5, 0), (0, 5))],
    # Descent drifts 8 times as far in as many steps as an epoch of SGD has.
    "noise-of-decay": [{"figure_sgdnoise": noise(a, b, 0.04)} for a, b in ((0.5, 0.1), (0.1, 0.5))],
    # With two snapshots in the first half, of which a limit is judged as well.
    "noise-levels-off": [{"figure_sgdnoise": slopes(p, -1.0)} for p in (-0.1, -1.0)],
    "noise-vanishes": [{"figure_sgdnoise": noise(0.5, z, 0)} for z in (0.001, 0.5)],
    "noise-margins": [{"figure_sgdnoise": noise(a, b, 0.3)} for a, b in ((0.5, 0.1), (0.1, 0.5))],
    "noise-margins-vanish": [{"figure_sgdnoise": noise(0.5, z, 0)} for z in (0.001, 0.5)],
    "noise-absent-in-gd": [{"figure_sgdnoise": slopes(-0.1, p)} for p in (-1.0, -0.2)],
}
