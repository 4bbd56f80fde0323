"""The object a user holds, and what it returns: parameters, results, equations, gradient checks."""
