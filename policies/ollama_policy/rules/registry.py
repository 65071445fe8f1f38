"""Every rule: those of files, the kinds of drift, what logs show, and those about the checker's own comments."""

from ollama_policy.model.rule import Rule
from ollama_policy.rules import RULES
from ollama_policy.rules.checker_comments import CHECKER_COMMENTS
from ollama_policy.rules.drift_kinds import KINDS
from ollama_policy.rules.log_rules import LOG_RULES

EVERY_RULE: tuple[type[Rule], ...] = (*RULES, *KINDS, *LOG_RULES, *CHECKER_COMMENTS)
