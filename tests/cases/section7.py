"""Section 7: tables that support each claim, and tables that contradict it."""

from made_tables import STARTS, WD, ZERO, flat, ordered, sweep, two

UNIT = "figure_unit"  # the experiment with layer norms of 1

CASES = {
    **{
        f"least-norm-errs-least{suffix}": [{experiment: ordered(sign)} for sign in (1, -1)]
        for suffix, experiment in (("", "figure5"), ("-unit", UNIT))
    },
    "start-replaces-decay": [
        {
            "figure5": sweep(
                names=STARTS,
                runs={
                    (WD, 0.9): {"rho": flat(50.0)},
                    (WD, 1.3): {"rho": 60.0},
                    (ZERO, 0.8): {"rho": 1.0},  # a start that lambda > 0 does not have
                    (ZERO, 0.9): {"rho": (4.0, small, small)},  # from near 0
                    (ZERO, 1.3): {"rho": 500.0},
                },
            )
        }
        for small in (52.0, 65.0)
    ],
    **{
        f"bn-better-than-{other}": [
            {
                "figure_normalization": sweep(
                    names=["normalization"],
                    runs={
                        (name,): {"rho": 1.0, "test_error": flat(bn if name == "bn" else 0.2)}
                        for name in ("wn", "lm", "bn", "none")
                    },
                )
            }
            for bn in (0.1, 0.3)
        ]
        for other in ("wn", "lm")
    },
    "square-loss-as-good": [
        {"figure_loss": two("test_error", {"loss": ("square", "cross_entropy")}, 0.1, ce)}
        for ce in (0.11, 0.05)
    ],
}
