"""What rooms of the suite share: cases, evaluation, pictures, images, quadrature, timing."""
