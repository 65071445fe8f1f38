"""The rules, one a file. `RULES` is all of them, in the order of their ids; a new rule is added here by hand."""

from ollama_policy.model.rule import Rule
from ollama_policy.rules.automatic_without_bound import AutomaticWithoutBound
from ollama_policy.rules.bare_seconds import BareSeconds
from ollama_policy.rules.boolean_reads_true import BooleanReadsTrue
from ollama_policy.rules.cloud_model import CloudModel
from ollama_policy.rules.conflicting_declarations import ConflictingDeclarations
from ollama_policy.rules.context_by_gpu_memory import ContextByGpuMemory
from ollama_policy.rules.invalid_declaration import InvalidDeclaration
from ollama_policy.rules.invalid_duration import InvalidDuration
from ollama_policy.rules.invalid_keep_alive import InvalidKeepAlive
from ollama_policy.rules.invalid_llama_argument import InvalidLlamaArgument
from ollama_policy.rules.invalid_number import InvalidNumber
from ollama_policy.rules.invalid_parameter import InvalidParameter
from ollama_policy.rules.keep_alive_through_v1 import KeepAliveThroughV1
from ollama_policy.rules.leaking_version import LeakingVersion
from ollama_policy.rules.limit_too_small import LimitTooSmall
from ollama_policy.rules.long_keep_alive import LongKeepAlive
from ollama_policy.rules.models_is_a_folder import ModelsIsAFolder
from ollama_policy.rules.no_memory_limit import NoMemoryLimit
from ollama_policy.rules.overhead_exceeds_gpu import OverheadExceedsGpu
from ollama_policy.rules.overridden_llama_argument import OverriddenLlamaArgument
from ollama_policy.rules.parallel_without_context import ParallelWithoutContext
from ollama_policy.rules.pin_without_server_default import PinWithoutServerDefault
from ollama_policy.rules.quantised_kv_without_flash_attention import QuantisedKvWithoutFlashAttention
from ollama_policy.rules.refused_keep_alive import RefusedKeepAlive
from ollama_policy.rules.reload_by_options import ReloadByOptions
from ollama_policy.rules.removed_parameter import RemovedParameter
from ollama_policy.rules.removed_variable import RemovedVariable
from ollama_policy.rules.server_never_releases import ServerNeverReleases
from ollama_policy.rules.unbounded_prompt_cache import UnboundedPromptCache
from ollama_policy.rules.unknown_kv_cache_type import UnknownKvCacheType
from ollama_policy.rules.unknown_variable import UnknownVariable
from ollama_policy.rules.unpinned_image import UnpinnedImage

RULES: tuple[type[Rule], ...] = (
    AutomaticWithoutBound,
    InvalidDeclaration,
    InvalidKeepAlive,
    PinWithoutServerDefault,
    LongKeepAlive,
    ConflictingDeclarations,
    CloudModel,
    InvalidDuration,
    BooleanReadsTrue,
    InvalidNumber,
    UnknownVariable,
    RemovedVariable,
    UnknownKvCacheType,
    QuantisedKvWithoutFlashAttention,
    ModelsIsAFolder,
    ServerNeverReleases,
    InvalidLlamaArgument,
    OverriddenLlamaArgument,
    BareSeconds,
    ParallelWithoutContext,
    UnboundedPromptCache,
    NoMemoryLimit,
    LimitTooSmall,
    OverheadExceedsGpu,
    ContextByGpuMemory,
    LeakingVersion,
    UnpinnedImage,
    RefusedKeepAlive,
    KeepAliveThroughV1,
    ReloadByOptions,
    RemovedParameter,
    InvalidParameter,
)
