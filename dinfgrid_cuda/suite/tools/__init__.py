"""What the problems of the suite share: cases, pictures, files, exact solutions, shapes."""
