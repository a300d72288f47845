"""Section 3: tables that support each claim, and tables that contradict it."""

from made_tables import (
    STARTS,
    WD,
    ZERO,
    after_fit,
    beside_no_decay,
    course,
    dynamics,
    equilibrium,
    falling,
    flat,
    starts,
    sweep,
    two,
)

UNIT = "figure_unit"  # the experiment with layer norms of 1

CASES = {
    "mu-rises-as-rho-falls": [
        {"gradientflow": falling(mu)} for mu in ((1.0, 2.0, 3.0, 1.0), (1.0, 2.0, 1.9, 3.0))
    ],
    "mu-falls-under-sgd": [
        {"figure8": course((3.0, 2.0, 1.0), mu=mu)} for mu in ((1.0, 2.0, 3.0), (1.0, 2.0, 1.5))
    ],
    # Of twenty epochs rho falls in the first and the last, or in two that follow each other.
    "rho-falls-briefly": [
        {"figure8": course(rho, mu=0.1, epochs=(0, 1, 19, 20), train_error=(0.5, 0, 0, 0))}
        for rho in ((3.0, 1.0, 2.0, 1.0), (3.0, 2.0, 1.0, 1.5))
    ],
    "mu-rises": [{"figure3": after_fit({"mu": (5.0, 1.0, v)})} for v in (2.0, 0.5)],
    "mu-rises-without-decay": [
        {"figure3": after_fit(None, {"mu": (5.0, 1.0, v)})} for v in (2.0, 0.5)
    ],
    "sigma-falls": [{"figure3": after_fit({"margin_sd": (5.0, 1.0, v)})} for v in (0.5, 2.0)],
    "sigma-falls-without-decay": [
        {"figure3": after_fit(None, {"margin_sd": (5.0, 1.0, v)})} for v in (0.5, 2.0)
    ],
    "large-margins-shrink": [
        {"figure3": after_fit({"max_margin": (1.0, 2.0, v)})} for v in (1.0, 1.99)
    ],
    # With rho = 1: residuals fall from 0.3 to 0.1 and the spread from 0.5 to 0.1, or stays.
    "sigma-lowers-the-loss": [
        {"figure3": after_fit({"mu": (0.7, 0.7, 0.9), "margin_sd": (0.5, 0.5, v)})}
        for v in (0.1, 0.49)
    ],
    "decay-matters-late": [
        {"figure3": after_fit({"rho": (1.0, a, b)}, {"rho": flat(1.0)})}
        for a, b in ((1.1, 0.3), (0.3, 1.1))
    ],
    "rho-mu-below-one": [
        {"figure3": after_fit({"rho": 10.0, "mu": flat(mu)}, {"rho": 10.0, "mu": flat(0.1)})}
        for mu in (0.095, 0.105)
    ],
    # The smallest margin decides: at the start all residuals are 1.
    "quasi-interpolates": [
        {"figure8": course(10.0, min_margin=(0.0, low, low), max_margin=(0.0, 0.101, 0.101))}
        for low in (0.098, 0.05)
    ],
    "eq5-flow": [{"gradientflow": dynamics(o, 0, 0)} for o in (1, 0.4)],
    "eq6-rho-dot": [{"gradientflow": dynamics(1, e, 0)} for e in (0.01, 0.5)],
    "lemma4": [{"gradientflow": dynamics(1, 0, e)} for e in (0.001, 0.2)],
    "eq7-equilibrium": [{"figure3": beside_no_decay(equilibrium(f), 60.0)} for f in (0.999, 0.9)],
    "eq7-equilibrium-unit": [{UNIT: equilibrium(f)} for f in (0.999, 0.9)],
    "lemma1-decay-costs": [
        {
            "figure3": sweep(
                names=STARTS,
                runs={
                    (WD, 0.9): {"rho": flat(a), "mu": 0.01},
                    (ZERO, 0.9): {"rho": flat(b), "mu": 0.01},
                },
            )
        }
        for a, b in ((80.0, 95.0), (95.0, 80.0))
    ],
    "rho-nonmonotone": [{"figure8": course(rho)} for rho in ((1.0, 3.0, 2.0), (1.0, 2.0, 3.0))],
    "starts-meet": [{"figure3": starts(m, False)} for m in (True, False)],
    "starts-meet-unit": [{UNIT: starts(m, False)} for m in (True, False)],
    "starts-stay-apart": [{"figure3": starts(m, not m)} for m in (True, False)],
    "starts-stay-apart-unit": [{UNIT: starts(m, not m)} for m in (True, False)],
    "lazy": [
        {UNIT: two("distance", {"init_scale": (0.8, 1.5)}, 1.2, v, weight_decay=0.0)}
        for v in (0.4, 0.9)
    ],
    "large-start-comes-down": [
        {
            UNIT: sweep(
                names=["init_scale"],
                runs={
                    (0.8,): {"rho": (1.0, 5.0, 5.0), "weight_decay": ZERO},
                    (1.5,): {"rho": (10.0, v, v), "weight_decay": ZERO},
                },
            )
        }
        for v in (9.0, 10.5)
    ],
    "lemma5": [
        {"figure5": course(1.0, weight_decay=0.0, lemma5_change=c, lemma5_alignment=1.0)}
        for c in (1e-4, 0.5)
    ],
}
