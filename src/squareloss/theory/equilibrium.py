"""rho and its equilibrium for given directions V_k: Eq. 6, 7, 11 and Lemma 4.

All arguments are floats or arrays that broadcast, and so is what comes back.

- `rho`: product of the layers' Frobenius norms and |rho_top|.
- `mu`, `M`: mean <f_V, e~> / C and mean ||f_V||^2 / C, as `evaluate.moments` gives them. For C = 2
  with opposite outputs these are the paper's mean margin and mean squared margin.
- `lam`: lambda_eff, the weight of rho^2. It is not the lambda of Eq. 1 where the norms of the
  layers are frozen at G = prod_k g_k and lambda acts on rho_top = rho / G: then it is lambda / G^2.
- `classes`: C. Centred targets have mean ||e~||^2 / C = 1/(C-1), the only place where C enters.
"""

import numpy as np
from numpy.typing import NDArray

Reals = float | NDArray[np.float64]

# Norm of the gradient (right side of Eq. 5) below which the end of a course counts as critical.
CRITICAL = 1e-6


def loss(rho: Reals, mu: Reals, M: Reals, lam: Reals, classes: int = 2) -> Reals:
    """Regularised square loss 1/(C-1) - 2 rho mu + rho^2 (M + lam) (Eq. 11)."""
    return 1 / (classes - 1) - 2 * rho * mu + rho**2 * (M + lam)


def rho_dot(rho: Reals, mu: Reals, M: Reals, lam: Reals) -> Reals:
    """d rho / dt = 2 (mu - rho (M + lam)) under gradient flow on rho itself (Eq. 6).

    Where rho_top is what flows, this is times G^2: time runs faster by that factor.
    """
    return 2 * (mu - rho * (M + lam))


def rho_equilibrium(mu: Reals, M: Reals, lam: Reals) -> Reals:
    """rho_eq = mu / (M + lam), the minimum of the loss over rho (Eq. 7). M + lam must not be 0."""
    return mu / (M + lam)


def loss_from_rho_dot(rho: Reals, rho_dot: Reals, mu: Reals, classes: int = 2) -> Reals:
    """Regularised square loss 1/(C-1) - rho (rho_dot / 2 + mu), for any lambda (Lemma 4).

    `rho_dot` is that of Eq. 6: divide that of a flow of rho_top by G^2 first.
    """
    return 1 / (classes - 1) - rho * (rho_dot / 2 + mu)
