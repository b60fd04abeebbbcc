"""Surfaces rebuilt from oriented point clouds."""
