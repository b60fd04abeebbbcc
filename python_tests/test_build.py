"""What setup.py decides and says before it compiles; no test here compiles anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # last, so that an installed dinfgrid_cuda stays the one that is tested

from build_tools import cuda, extension, facts, requirements  # noqa: E402

NVCC = """#!/bin/sh
case "$1" in
--version) echo "Cuda compilation tools, release {version}, V{version}.48" ;;
--list-gpu-arch) printf 'compute_75\\ncompute_80\\ncompute_90\\ncompute_120\\n' ;;
--dryrun) echo '#$ _HERE_={home}/bin' >&2 ;;
esac
"""


def make_toolkit(home: Path, version: str = "13.0") -> Path:
    """A toolkit folder with an nvcc that only tells its version."""
    (home / "bin").mkdir(parents=True)
    (home / "include").mkdir()
    (home / "include" / "cuda_runtime.h").touch()
    write_script(home / "bin" / "nvcc", NVCC.format(version=version, home=home))
    return home


def write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def decide(home: Path | None, wish: str = "", torch_cuda: str | None = "13.0") -> cuda.Decision:
    environment = {"DINFGRID_CUDA": wish, "CUDA_HOME": str(home) if home else ""}
    return cuda.decide(environment, "2.14.1", torch_cuda)


def test_cuda_is_built_where_toolkit_and_torch_agree(tmp_path: Path) -> None:
    decision = decide(make_toolkit(tmp_path))
    assert decision.toolkit is not None
    assert decision.toolkit.version == "13.0"
    assert decision.toolkit.architectures == {"7.5", "8.0", "9.0", "12.0"}


def test_cuda_0_builds_for_the_cpu_in_spite_of_a_toolkit(tmp_path: Path) -> None:
    assert decide(make_toolkit(tmp_path), "0") == cuda.Decision(None, "DINFGRID_CUDA=0")


def test_a_minor_difference_of_cuda_versions_is_accepted(tmp_path: Path) -> None:
    assert decide(make_toolkit(tmp_path, "13.2")).toolkit is not None


def missing_header(home: Path) -> Path:
    (make_toolkit(home) / "include" / "cuda_runtime.h").unlink()
    return home


def broken_nvcc(home: Path) -> Path:
    write_script(make_toolkit(home) / "bin" / "nvcc", "#!/bin/sh\nexit 1\n")
    return home


@pytest.mark.parametrize(
    ("make", "torch_cuda", "missing"),
    [
        (make_toolkit, None, "PyTorch 2.14.1 is built without CUDA"),
        (lambda home: home, "13.0", "has no bin/nvcc"),
        (missing_header, "13.0", "has no include/cuda_runtime.h"),
        (broken_nvcc, "13.0", "does not run"),
        (lambda home: make_toolkit(home, "12.6"), "13.0", "install toolkit 13.0 or point"),
    ],
)
def test_forced_cuda_names_what_is_missing_and_automatic_builds_for_the_cpu(
    tmp_path: Path, make, torch_cuda: str | None, missing: str
) -> None:
    home = make(tmp_path / "cuda")
    with pytest.raises(requirements.BuildError, match=missing) as raised:
        decide(home, "1", torch_cuda)
    assert str(raised.value).startswith("DINFGRID_CUDA=1, but ")
    assert "\n" not in str(raised.value)
    automatic = decide(home, "", torch_cuda)
    assert automatic.toolkit is None
    assert missing in automatic.reason


def test_another_value_of_dinfgrid_cuda_is_refused() -> None:
    with pytest.raises(requirements.BuildError, match="DINFGRID_CUDA is 'yes'; it may be 0"):
        decide(None, "yes")


def test_an_nvcc_on_path_that_is_a_script_leads_to_its_toolkit(tmp_path: Path) -> None:
    home = make_toolkit(tmp_path / "cuda-13.0")
    (tmp_path / "bin").mkdir()
    write_script(tmp_path / "bin" / "nvcc", f'#!/bin/sh\nexec {home}/bin/nvcc "$@"\n')
    assert cuda.find_home({"PATH": str(tmp_path / "bin")}) == home


def test_an_nvcc_on_path_that_is_a_link_leads_to_its_toolkit(tmp_path: Path) -> None:
    home = make_toolkit(tmp_path / "cuda-13.0")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").symlink_to(home / "bin" / "nvcc")
    assert cuda.find_home({"PATH": str(tmp_path / "bin")}) == home


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ([], "8.0;9.0;12.0+PTX"),  # the usual ones, less 10.0, which this toolkit does not know
        ([(9, 0)], "9.0+PTX"),
        ([(9, 0), (8, 0), (9, 0)], "8.0;9.0+PTX"),
        ([(13, 0)], "12.0+PTX"),  # a GPU newer than the toolkit
    ],
)
def test_architectures_suit_the_gpus_and_the_toolkit(
    tmp_path: Path, visible: list[tuple[int, int]], expected: str
) -> None:
    assert cuda.architecture_list(cuda.read_toolkit(make_toolkit(tmp_path)), visible) == expected


def test_old_setuptools_is_named_with_the_fix() -> None:
    requirements.check_setuptools("77.0.3")
    with pytest.raises(requirements.BuildError, match="setuptools 65.5.0 is too old; run: pip"):
        requirements.check_setuptools("65.5.0")


def test_a_build_without_torch_asks_for_no_build_isolation_in_one_line() -> None:
    with pytest.raises(requirements.BuildError, match="pip install --no-build-isolation") as raised:
        requirements.import_torch("no_such_torch")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("version", "older"),
    [
        ("2.12.1+cu130", True),
        ("1.13.1", True),
        ("2.13.0a0+git1234567", True),
        ("2.13.0.dev20260401+cpu", True),
        ("2.13.0+cpu", False),
        ("2.13", False),
        ("2.14.0rc1", False),
        ("3.0.0", False),
    ],
)
def test_a_torch_older_than_the_dependency_is_recognised(version: str, older: bool) -> None:
    assert requirements.is_older(version, "2.13") is older


def test_a_torch_that_pip_would_replace_is_refused_with_both_versions_and_the_fix() -> None:
    least = requirements.oldest_torch()
    requirements.check_torch(f"{least}.0+cpu")
    expected = f"PyTorch 2.1.0 is installed, but {least} or newer.*pip install 'torch>={least}'"
    with pytest.raises(requirements.BuildError, match=expected) as raised:
        requirements.check_torch("2.1.0")
    assert "\n" not in str(raised.value)


def test_setup_stops_in_one_line_before_it_compiles_against_an_older_torch(tmp_path: Path) -> None:
    stand_in = "__version__ = '2.1.0+cpu'\nclass version:\n    cuda = None\n"
    (tmp_path / "torch.py").write_text(stand_in)
    done = run_setup(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("dinfgrid_cuda: PyTorch 2.1.0+cpu is installed")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_name_of_the_wheel_tells_the_back_ends(tmp_path: Path) -> None:
    assert cuda.build_tag(decide(make_toolkit(tmp_path))) == "0cu130"
    assert cuda.build_tag(decide(None, "0")) == "0cpu"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["dist_info"], True), (["build_ext", "--inplace"], True), (["sdist"], False), ([], False)],
)
def test_only_commands_that_compile_need_torch(arguments: list[str], expected: bool) -> None:
    assert requirements.compiles(arguments) is expected


def run_setup(**environment: str) -> subprocess.CompletedProcess[str]:
    """`setup.py build_ext` with more environment variables."""
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_setup_prints_one_line_where_it_cannot_build() -> None:
    done = run_setup(DINFGRID_CUDA="maybe")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("dinfgrid_cuda: DINFGRID_CUDA is 'maybe'")
    assert "Traceback" not in done.stderr


def test_cuda_sources_are_compiled_only_with_cuda() -> None:
    assert not [name for name in extension.sources(with_cuda=False) if name.endswith(".cu")]
    with_cuda = set(extension.sources(with_cuda=True))
    assert set(extension.sources(with_cuda=False)) <= with_cuda
    assert "csrc/cuda/gather.cu" in with_cuda


def test_every_instance_of_a_kernel_is_compiled_with_cuda() -> None:
    expected = {
        f"csrc/cuda/instances/{operation}_{dim}d_{scalar}.cu"
        for operation in ("gather", "scatter", "scatter_sorted")
        for dim in range(1, 5)
        for scalar in ("float", "double")
    }
    assert expected <= set(extension.sources(with_cuda=True))


def test_flags_leave_standard_architecture_and_arithmetic_to_torch_and_the_compiler() -> None:
    flags = extension.compile_flags(["/torch/include"], strict=True)
    for flag in flags["cxx"] + flags["nvcc"]:
        assert not flag.startswith(("-std", "-march", "-gencode", "-ffast-math", "--use_fast_math"))
    assert "-Werror" in flags["cxx"]
    assert "-Werror" not in extension.compile_flags(["/torch/include"], strict=False)["cxx"]


def test_the_record_of_a_build_is_written_and_read_back(tmp_path: Path) -> None:
    torch = SimpleNamespace(
        __version__="2.14.1+cu130",
        version=SimpleNamespace(cuda="13.0"),
        compiled_with_cxx11_abi=lambda: True,
    )
    built = {"toolkit": "13.0", "architectures": "9.0"}
    facts.write(facts.collect("0.1.0", torch, built, "", "no-such-compiler"), tmp_path)
    record = json.loads((tmp_path / facts.FILE_NAME).read_text())
    assert record["torch"] == "2.14.1+cu130"
    assert record["cuda"] == built
    assert record["compiler"] == "no-such-compiler"
