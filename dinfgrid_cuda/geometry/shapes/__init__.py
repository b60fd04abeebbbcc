"""The shapes that problems live on: disks, polygons, solids, meshes, level sets."""
