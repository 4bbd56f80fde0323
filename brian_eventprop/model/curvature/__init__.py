"""Second derivatives: Hessian-vector products, and the Gauss-Newton matrix of a loss."""

from brian_eventprop.model.curvature.gauss_newton import GaussNewton
from brian_eventprop.model.curvature.hessian import HessianProduct
from brian_eventprop.model.curvature.inverse import inverse_of_normal
from brian_eventprop.model.curvature.methods import CurvedModel

__all__ = ["CurvedModel", "GaussNewton", "HessianProduct", "inverse_of_normal"]
