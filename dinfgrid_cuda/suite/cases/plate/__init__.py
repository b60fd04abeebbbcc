"""A thin plate: energy, fourth derivatives, exact solutions."""
