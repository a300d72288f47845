"""Section 5: tables that support each claim, and tables that contradict it."""

import numpy as np
import pandas as pd
from made_tables import WD, ZERO, at_papers_size, collapse, course, flat, starts10, two

CASES = {
    "figure10-single-value-of-each": [
        {
            "figure10": starts10((1.0, 2.0), (1.0, 4.0)).assign(
                margin_spread=lambda rows, v=v: np.where(rows["weight_decay"] > 0, v, 9.0)
            )
        }
        for v in (0.02, 0.5)
    ],
    "figure10-single-value-of-all": [
        {"figure10": starts10(m, (1.0, 4.0))} for m in ((2.0, 2.02), (1.0, 2.0))
    ],
    "figure10-smaller-margins": [
        {"figure10": starts10((2.0, 2.0), m)} for m in ((1.0, 1.5), (3.0, 4.0))
    ],
    "figure10-zero-variance": [
        {"figure10": starts10((1.0, 1.0), (1.0, 1.0), spread)} for spread in (1e-4, 0.1)
    ],
    "residuals-equal": [
        {"figure8": course(10.0, mu=0.095, margin_sd=flat(sd))} for sd in (0.0001, 0.01)
    ],
    "margins-gaussian-skewness": [
        {"figure10": two("margin_skewness", {"weight_decay": (ZERO, WD)}, 3.0, v)} for v in (0.1, 2)
    ],
    "margins-gaussian-kurtosis": [
        {"figure10": two("margin_kurtosis", {"weight_decay": (ZERO, WD)}, 9.0, v)} for v in (0.1, 3)
    ],
    "collapse-after-fit": [
        {"figure9": course(1.0, nc1=(1.0, 0.01, 0.01), nc1_trace=(1.0, v, 0.01))}
        for v in (0.5, 0.05)
    ],
    "random-labels-fail": [
        {
            "figure_randomlabels": pd.concat(
                [
                    at_papers_size(label_noise=1.0, train_error=(0.5, 0.5, v)),
                    at_papers_size(label_noise=0.0),
                ]
            )
        }
        for v in (0.3, 0.01)
    ],
    **{
        f"{name}-random-labels": [
            {"figure_randomlabels": collapse(v, v, label_noise=1.0)} for v in (0.001, 0.8)
        ]
        for name in ("nc1", "nc2-norms-weights", "nc2-angles-weights", "nc3", "nc4")
    },
    "nc-without-generalisation": [
        {"figure_randomlabels": collapse(0.01, 0.01, label_noise=1.0, test_error=e)}
        for e in (0.5, 0.1)
    ],
    "margins-narrowest-last": [
        {
            "figure8": course(
                1.0,
                epochs=(0, 1, 4, 10),
                train_error=(0.5, 0, 0, 0),
                margin_sd=(0.1, 3.0, 2.0, last),
            )
        }
        for last in (1.0, 2.5)
    ],
    "margins-narrow": [{"figure8": course(1.0, margin_spread=(3.0, 2.0, last))} for last in (1, 4)],
    **{
        f"{name}-{suffix}": [{experiment: collapse(v, v, classes)} for v in (0.001, 0.8)]
        for suffix, experiment, classes in (
            ("binary", "figure9", 2),
            ("multiclass", "figure_multiclass", 10),
        )
        for name in ("nc1", "nc2-norms-weights", "nc2-angles-weights", "nc3", "nc4")
    },
    **{
        f"{name}-multiclass": [{"figure_multiclass": collapse(v, v, 10)} for v in (0.001, 0.8)]
        for name in ("nc2-norms-means", "nc2-angles-means")
    },
}
