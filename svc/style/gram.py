"""Gram matrices over time (Gatys et al. 1508.06576), and their distance by the T × T kernel identity.

For features X (D, N) and Y (D, M): ‖XXᵀ − YYᵀ‖² = ‖XᵀX‖² − 2 ‖YᵀX‖² + ‖YᵀY‖². With D in the thousands and N in the
hundreds the right side costs a fraction of the left one, and no D × D matrix is held.
"""

from torch import Tensor


class GramTarget:
    """The Gram matrix of the style clip, YYᵀ divided by a number, for Y (D, M), to which others are compared.

    A divisor of M makes it independent of the clip's length; 1 leaves it as published. It is compared by the kernel
    identity or by D × D matrices; what is cheaper if not given.
    """

    def __init__(self, y: Tensor, divisor: float, kernel: bool | None = None) -> None:
        self.kernel = y.shape[1] < y.shape[0] if kernel is None else kernel
        self.y = y / divisor**0.5
        self.matrix = None if self.kernel else self.y @ self.y.T
        self.norm = _squared(self.y.T @ self.y if self.matrix is None else self.matrix)

    def distance(self, x: Tensor, divisor: float) -> Tensor:
        """Squared Frobenius distance () in double precision to XXᵀ / divisor of features (D, N)."""
        x = x / divisor**0.5
        if self.matrix is not None:
            return _squared(x @ x.T - self.matrix)
        return _squared(x.T @ x) - 2 * _squared(self.y.T @ x) + self.norm


def _squared(matrix: Tensor) -> Tensor:
    """Sum of squares in double precision: the three traces cancel near convergence."""
    return matrix.double().square().sum()
