"""The memory bandwidth of GPUs by their data sheets."""

from __future__ import annotations

from typing import Any

import torch

# Bytes/s, where torch does not give clock and width of the memory; the longest name that fits.
NAMED = {
    "A100-PCIE-40GB": 1.555e12,
    "A100-SXM4-40GB": 1.555e12,
    "A100 80GB PCIe": 1.935e12,
    "A100-SXM4-80GB": 2.039e12,
    "B200": 8.0e12,
    "GeForce RTX 3090": 0.936e12,
    "GeForce RTX 4090": 1.008e12,
    "GeForce RTX 5090": 1.792e12,
    "H100 80GB HBM3": 3.35e12,
    "H100 NVL": 3.9e12,
    "H100 PCIe": 2.0e12,
    "H200": 4.8e12,
    "L4": 0.3e12,
    "L40S": 0.864e12,
    "Tesla T4": 0.32e12,
    "Tesla V100-SXM2": 0.9e12,
}


def nominal_bandwidth(properties: Any) -> float | None:
    """The DRAM bandwidth in bytes/s by torch.cuda.get_device_properties(); None where unknown.

    Clock times width times two, for memory that moves two numbers per clock.
    """
    clock = getattr(properties, "memory_clock_rate", 0) or 0  # kHz
    width = getattr(properties, "memory_bus_width", 0) or 0  # bits
    if clock > 0 and width > 0:
        return float(2 * clock * 1e3 * width / 8)
    fitting = [name for name in NAMED if name in properties.name]
    return NAMED[max(fitting, key=len)] if fitting else None


def describe(device: str) -> tuple[str, float | None]:
    """The name of a device for a headline, and its nominal bandwidth; None for the CPU."""
    if torch.device(device).type != "cuda":
        return f"CPU, {torch.get_num_threads()} threads", None
    properties = torch.cuda.get_device_properties(device)
    return properties.name, nominal_bandwidth(properties)
