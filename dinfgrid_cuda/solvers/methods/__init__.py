"""The methods: Gauss-Newton, time slabs, products in turn, L-BFGS and Adam."""
