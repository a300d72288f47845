"""Statements that are measured on small problems instead of runs of the study.

    python -m squareloss.small --seed 2022 --replicates 3 --flow P --minibatch P --tree P \
        --ample P --settled P

- flow: gradient flow (Eq. 5), gradient descent at decreasing steps, and weight norm with momentum.
  The runs of the study cannot show Eq. 6: rho settles within few steps, and `history` has an epoch.
- minibatch: gradients of single samples after SGD with batches of 1 (Section 6, Lemma 8, Eq. 53).
- tree: Rademacher complexity of binary trees by exhaustive search, and its bound (Theorem 4).
- ample: networks and data for which bounds on the test error are below 1 (Section 4).
- settled: networks trained to a critical point, and the landscape around (Section 3.3, Lemma 6).

A replicate is a random problem: data and initial weights. All in float64.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from squareloss import arguments
from squareloss.errors import run_stage
from squareloss.evaluate import moments
from squareloss.metrics.rank import rank, singular_values
from squareloss.spec import stream
from squareloss.tables.small import AMPLE, CRITICAL, FLOW, MINIBATCH, SETTLED, TREE
from squareloss.theory.ample import NETWORKS, trained
from squareloss.theory.bounds import BOUNDS
from squareloss.theory.equilibrium import rho_dot
from squareloss.theory.flow import (
    Problem,
    descend,
    descend_by_samples,
    initial,
    integrate,
    momentum_course,
    small_problem,
)
from squareloss.theory.minibatch import (
    full_speed,
    margin_gradients,
    sample_speeds,
    second_singular_value,
)
from squareloss.theory.settled import (
    Point,
    blobs,
    collapse_of,
    curve_losses,
    data_loss,
    eq9_error,
    euler_error,
    hessian_rank,
    multiplier,
    off_targets,
    outputs,
    settle,
    spreads,
    turned,
)
from squareloss.theory.tree import rademacher_complexity, tree_bound

Rows = list[dict[str, Any]]
DECAY = 1e-3
HORIZON = 2.0
STEPS = (0.1, 0.05, 0.025, 0.0125)
NORMS = (1.0, 1.5)  # of each layer: `layer_norms: unit`, and others
BUILD_UP = 40  # steps after which momentum 0.9 has built up to 98.5%
FEW = 6  # samples that the small network can interpolate
SIZES = (200, 2000, 20_000)  # training images of the networks with ample data
DELTA = 0.05
ATTEMPTS = 8  # problems tried for one whose minimum is not on a kink
ATTEMPTS_OF_THREE = 24  # the same with three classes
SMALL = 0.01  # rho of a small start
SETTLED_COLLAPSE = ("nc1", "nc2_equinorm_weights", "nc2_angle_weights", "nc3", "nc4")


def drawn(
    seed: int, replicate: int, decay: float, samples: int = 20
) -> tuple[Problem, torch.Tensor]:
    """The random problem of a replicate, and directions to start from (flat)."""
    problem = small_problem(stream(seed, replicate, "small", "data"), decay, samples)
    return problem, initial(problem, stream(seed, replicate, "small", "weights"))


def flow_rows(seed: int, replicate: int) -> Rows:
    """The flow at 41 times, descent at the end of its horizon, and courses with momentum."""
    problem, v = drawn(seed, replicate, DECAY)
    times = np.linspace(0, HORIZON, 41)
    course = integrate(problem, 1.0, v, times)
    rows: Rows = []
    for time, state in zip(times, course, strict=True):
        loss = problem.loss(*point(state)).item()
        rows.append({"method": "flow", "time": time, "rho": state[0], "loss": loss})
    for step in STEPS:
        end = descend(problem, 1.0, v, step, round(HORIZON / step))
        distance = float(np.linalg.norm(end - course[-1]))
        rows.append({"method": "descent", "time": HORIZON, "step": step, "distance": distance})
    for norms in NORMS:
        rows += momentum_rows(problem, v, norms)
    return [row | {"replicate": replicate} for row in rows]


def momentum_rows(problem: Problem, v: torch.Tensor, norms: float) -> Rows:
    """Measured and predicted rho_dot of weight norm with layers of norm `norms`, momentum 0.9."""
    g = norms ** len(problem.layers)
    # The rate is divided by G^2, so that in the time of Eq. (6) all norms take the same steps.
    rate = 1e-3 / g**2
    course = pd.DataFrame(momentum_course(problem, v, norms, rate, momentum=0.9, steps=3000))
    rho, mu, m, lam = (course[name].to_numpy() for name in ("rho", "mu", "M", "lambda_eff"))
    # Eq. (6) has a time of its own, in which rho moves G^2 times slower than in that of rho_top.
    course["rho_dot_measured"] = np.gradient(rho, course["time"]) / g**2
    course["rho_dot_eq6"] = rho_dot(rho, mu, m, lam)
    kept = course.iloc[BUILD_UP::10].assign(method="momentum", norms=norms)
    rows: Rows = kept.to_dict("records")  # type: ignore[assignment]
    return rows


def point(state: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """rho and the directions of a state of the flow."""
    tensor = torch.from_numpy(state)
    return tensor[0], tensor[1:]


def minibatch_rows(seed: int, replicate: int) -> Rows:
    """One row a lambda and layer, after 800 epochs of SGD with batches of 1 at a rate of 0.01."""
    rows: Rows = []
    for decay in (DECAY, 0.0):
        problem, v = drawn(seed, replicate, decay, FEW)
        order = stream(seed, replicate, "small", "order")
        state = descend_by_samples(problem, 8.0, v, 0.01, epochs=800, seed=order)
        rho, v = point(state)
        layers = problem.split(v)
        fbar, gradients = margin_gradients(problem, v)
        samples = sample_speeds(rho.item(), fbar, gradients, layers)
        full = full_speed(rho.item(), fbar, gradients, layers)
        for k, weight in enumerate(layers):
            rows.append(
                {
                    "replicate": replicate,
                    "weight_decay": decay,
                    "layer": k + 1,
                    "rank": rank(singular_values(weight), 1e-2),
                    "second_singular_value": second_singular_value([[g[k]] for g in gradients]),
                    "full_speed": full[k].item(),
                    "mean_sample_speed": samples[:, k].mean().item(),
                    "max_sample_speed": samples[:, k].max().item(),
                }
            )
    return rows


def tree_rows(seed: int, replicate: int) -> Rows:
    """Complexity and bound of trees with one to three layers, on eight Gaussian samples."""
    rows: Rows = []
    generator = np.random.default_rng(stream(seed, replicate, "small", "trees"))
    for layers, angles in ((1, 720), (2, 180), (3, 36)):
        x = generator.normal(size=(8, 2**layers))
        found, coarse = rademacher_complexity(x, angles)
        bound = tree_bound(x)
        row = {"layers": layers, "complexity": found, "coarse": coarse, "bound": bound}
        rows.append({"replicate": replicate} | row)
    return rows


def ample_rows(seed: int, replicate: int) -> Rows:
    """One row a network, N and bound: the bound, and the errors of the network."""
    rows: Rows = []
    for name, layers in NETWORKS.items():
        for n in SIZES:
            number = stream(seed, replicate, "small", "ample", name, str(n))
            found, train_error, test_error = trained(layers, number, n, DELTA)
            row = {"replicate": replicate, "network": name, "n_train": n}
            row |= {"rho": found.rho, "train_error": train_error, "test_error": test_error}
            for bound in BOUNDS.values():
                rows.append(row | {"bound": bound.name, "value": bound.value(found)})
    return rows


def at_end(
    seed: int, replicate: int, name: str, attempts: int, iterations: int = 1000, **shape: Any
) -> tuple[int, Problem, list[torch.Tensor], Point]:
    """Of problems drawn in turn, the first whose end is a critical point; else the last.

    How many were drawn, the problem (`shape` goes to `blobs`), three starts, and the end of the
    first. On a kink more iterations do not help.
    """
    for attempt in range(1, attempts + 1):
        label = (seed, replicate, "small", f"{name} {attempt}")
        problem = blobs(stream(*label, "data"), 10 * DECAY, FEW, **shape)
        starts = [initial(problem, stream(*label, start)) for start in "abc"]
        end = settle(problem, 1.0, starts[0], iterations=iterations)
        if end.gradient < CRITICAL:
            break
    return attempt, problem, starts, end


def settled_rows(seed: int, replicate: int) -> Rows:
    """One row: a network at the end of training with lambda > 0, and the landscape around it."""
    attempt, problem, starts, end = at_end(seed, replicate, "settled", ATTEMPTS)
    measured, collapsed = spreads(problem, end), collapse_of(problem, end)
    row: dict[str, Any] = {
        "replicate": replicate,
        "attempts": attempt,
        "rho": end.rho,
        "gradient": end.gradient,
        "weight_decay": problem.weight_decay,
        "eq3_error": euler_error(problem, starts[0]),
        "multiplier": multiplier(problem, end),
        "eq9_error": eq9_error(problem, end),
        **measured,
        **{name: collapsed[name] for name in SETTLED_COLLAPSE},
    }
    row |= multiclass_row(seed, replicate)
    return [row | landscape_row(problem, end, 1 / measured["mu"], starts)]


def multiclass_row(seed: int, replicate: int) -> dict[str, Any]:
    """How far outputs are from their targets' directions where three classes were fitted.

    Fewer units and narrower classes than with two: one problem in ten has its end off the kinks.
    """
    shape = {"classes": 3, "units": 16, "spread": 0.3}
    attempt, problem, _, end = at_end(
        seed, replicate, "three classes", ATTEMPTS_OF_THREE, iterations=200, **shape
    )
    return {
        "multiclass_attempts": attempt,
        "multiclass_gradient": end.gradient,
        "off_targets": off_targets(problem, end),
    }


def landscape_row(
    problem: Problem, end: Point, rho_0: float, starts: list[torch.Tensor]
) -> dict[str, Any]:
    """The loss without lambda around an end with it, whose 1 / mu is nearly the least rho."""
    free = replace(problem, weight_decay=0.0)
    one, other = (settle(free, 3 * rho_0, v) for v in starts[:2])
    line, curve = curve_losses(free, one, other)
    v = starts[2]
    high = rho_0 * torch.tensor([1.5, 100.0], dtype=torch.float64)
    speeds = [-free.gradient(rho, v)[0].item() for rho in high]
    mu, _ = moments(outputs(problem, Point(SMALL, v, 0.0))[0], problem.labels)
    return {
        "rho_0": rho_0,
        "free_loss": data_loss(free, one),
        "free_gradient": one.gradient,
        "hessian_rank": hessian_rank(free, one),
        "residuals": len(problem.labels) * problem.classes,
        "line_loss": line,
        "curve_loss": curve,
        "loss_below": data_loss(free, settle(free, 0.9 * rho_0, end.v, free=False)),
        "loss_above": data_loss(free, settle(free, 1.1 * rho_0, end.v, free=False)),
        "rho_dot_above": speeds[0],
        "rho_dot_far_above": speeds[1],
        "inseparable_growth": growth(problem, turned(problem, v) if mu > 0 else v),
    }


def growth(problem: Problem, v: torch.Tensor) -> float:
    """Largest |rho| that gradient descent from SMALL meets at 20 times, over SMALL.

    At steps of 0.02: the flow itself slides along kinks, where an integrator needs 20 times the
    gradients, and whether rho grows does not depend on it.
    """
    state, found = np.concatenate([[SMALL], v.numpy()]), [SMALL]
    for _ in range(20):
        state = descend(problem, state[0], torch.from_numpy(state[1:]), step=0.02, steps=50)
        found.append(abs(state[0]))
    return max(found) / SMALL


def main() -> None:
    """Command line of the job."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--seed", type=int, required=True, help="of the study")
    parser.add_argument("--replicates", type=arguments.count, required=True)
    tables = {
        "flow": (FLOW, flow_rows),
        "minibatch": (MINIBATCH, minibatch_rows),
        "tree": (TREE, tree_rows),
        "ample": (AMPLE, ample_rows),
        "settled": (SETTLED, settled_rows),
    }
    for name in tables:
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    arguments.refuse_overwriting([], [getattr(args, name) for name in tables])
    torch.set_num_threads(1)
    for name, (table, rows_of) in tables.items():
        rows = [
            row for r in tqdm(range(args.replicates), desc=name) for row in rows_of(args.seed, r)
        ]
        table.write(getattr(args, name), pd.DataFrame(rows))


if __name__ == "__main__":
    run_stage(main)
