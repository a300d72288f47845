"""Small networks at their end: tables that support each claim, and tables that contradict it."""

from made_tables import settled

# Claim -> the column of `settled` that decides it, a value that supports it, and one that does not.
SETTLED = {
    "eq3-homogeneity": ("eq3_error", 1e-15, 1e-6),
    "eq4-multiplier": ("multiplier", 0.0036, 0.0037),
    "eq9-weights": ("eq9_error", 1e-7, 0.1),
    "lemma3-convergence": ("free_gradient", 1e-10, 1e-3),
    "theorem1-rank": ("hessian_rank", 12, 11),
    "theorem2-connected": ("curve_loss", 1e-5, 0.1),
    "rho-locally-least": ("loss_below", 0.01, 1e-12),
    "zero-loss-above": ("loss_above", 1e-20, 0.01),
    "large-start-falls": ("rho_dot_above", -0.1, 0.1),
    "very-large-start-falls": ("rho_dot_far_above", -0.1, 0.1),
    "inseparable-start": ("inseparable_growth", 1.0, 80.0),
    "lemma6-margins": ("margin_spread", 1e-8, 0.01),
    "lemma6-residuals": ("residual_spread", 1e-6, 0.5),
    # M = 1.6^2 + 0.01: (sigma^2 + lambda) / (M + lambda) = 0.00775, and so is 1 - rho mu.
    "eq8-gap": ("rho", (1 - 0.02 / 2.58) / 1.6, (1 - 0.01 / 2.57) / 1.6),
    "lemma7-outputs": ("off_targets", 1e-7, 0.1),
    "nc1-settled": ("nc1", 1e-5, 0.1),
    "nc2-norms-weights-settled": ("nc2_equinorm_weights", 1e-5, 0.1),
    "nc2-angles-weights-settled": ("nc2_angle_weights", 1e-5, 0.1),
    "nc3-settled": ("nc3", 1e-5, 0.1),
    "nc4-settled": ("nc4", 0.0, 0.1),
}

CASES = {
    **{
        name: [{"settled": settled(**{column: value})} for value in values]
        for name, (column, *values) in SETTLED.items()
    },
}
