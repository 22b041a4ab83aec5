"""Texts that try to steer whoever reads them: held before they are remembered, with a reason.

Four kinds of rules: instructions to a machine, encoded text, characters that hide or imitate, and bursts. How strict they are
depends on the trust tier: what a user says of their own ("always call me Bob") is theirs to say; the same in a web page is not.

The rules see wording, not intent: a paraphrase that none of them knows passes. They are one layer; what passes is still held
against other memories before it enters an answer (`governance.trust`). `benchmarks/poison.py` measures each layer alone.

Every pattern is made of bounded repeats that do not stand inside each other, so that the time grows with the length of the text;
`tests/governance/test_screen.py` reads the patterns and checks it.

Attacks: Chen et al., AgentPoison, NeurIPS 2024, arXiv 2407.12784; Dong et al., MINJA, arXiv 2503.03704. Guidance: OWASP ASI06.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from remanence.governance.decoding import decoded
from remanence.governance.hidden import hidden, imitated, revealed
from remanence.policies import Trust

STRICT = frozenset({Trust.WEB, Trust.TOOL, Trust.MODEL, Trust.UNKNOWN})
"""Tiers whose texts have no business telling the reader what to do."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a text is held."""

    rule: str
    """instruction, encoded, hidden, look-alike, burst, or own output."""
    words: str
    """What was found, for people; never more than a short stretch of the text."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.rule}: {self.words}"


def screen(text: str, trust: Trust) -> Suspicion | None:
    """The first thing about a text that speaks against remembering it unseen; None if nothing does.

    Pure, and linear in the length of the text. Bursts need other texts: see `bursts.bursts`.
    """
    strict = trust in STRICT
    if (found := hidden(text, strict=strict)) is not None:
        return Suspicion("hidden", found)
    if (found := imitated(text, strict=strict)) is not None:
        return Suspicion("look-alike", found)
    if (found := instruction(revealed(text), strict=strict)) is not None:
        return Suspicion("instruction", found)
    for kind, inner in decoded(text):
        found = instruction(revealed(inner), strict=True)
        if found is not None:
            return Suspicion("encoded", f"{kind}, and inside it {found}")
        if strict and kind not in _READABLE:
            return Suspicion("encoded", f"{kind} that reads as text: {_short(inner)}")
    return None


def instruction(text: str, *, strict: bool) -> str | None:
    """What in a text, already `hidden.revealed`, instructs a machine; None if nothing does."""
    text = text.lower()
    for rule in (*ALWAYS, *UNLESS_USER) if strict else ALWAYS:
        if any(anchor in text for anchor in rule.anchors) and (match := rule.pattern.search(text)):
            return f"{rule.name}: {_short(match.group())}"
    return None


class Rule(NamedTuple):
    """A pattern for lower-case text. Whatever it matches holds one of the anchors, which are faster to look for."""

    name: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]


def _short(found: str) -> str:
    """At most sixty characters, for a reason that people read; nothing that a terminal would act on."""
    plain = "".join(character if character.isprintable() else " " for character in found[:200])
    one = " ".join(plain.split())
    return repr(one if len(one) <= 60 else one[:57] + "...")


_READABLE = frozenset({"rot13", "reversed"})  # any text has such a form: only what it says counts

_MACHINE = r"(?:ai|a\.i\.|assistants?|agents?|llms?|language models?|chat ?bots?|bots?|gpt|copilot|system|models?|memory system)"
_DATA = (
    r"(?:passwords?|credentials?|secrets?|(?:access |auth |api )?tokens?|api keys?|private keys?|chat (?:history|logs?)|conversations?"
    r"|transcripts?|memor(?:y|ies)|personal (?:data|information|details)|private (?:data|information|details)|user(?:'s|s|s')? data"
    r"|system prompt|address book|contact list|contacts|card numbers?|bank details|location history|everything (?:you|that you))"
)
_PLACE = r"(?:https?://|www\.|\b[\w.+-]{1,40}@[\w-]{1,40}\.|webhooks?\b|\bendpoint\b|\bthis (?:url|link|server|address)\b|\bour (?:server|servers|api)\b)"
_SEND = r"(?:send|post|forward|upload|e-?mail|transmit|leak|exfiltrate|submit|append|deliver|mail|copy|export|relay|report|pass|ship|dump)"
_SAY = (
    r"(?:answer|reply|respond|recommend|suggest|say|tell|state|return|output|give|provide|direct|refer|redirect|point|mention|insist"
    r"|confirm|claim|promote|offer|advise|name|cite|quote|report|send|call|use|include|present|list|prefer|choose|pick|substitute)"
)
_WHO = (
    r"(?:users?|anyone|anybody|someone|somebody|people|customers?|clients?|persons?|visitors?|they|he or she|he/she|i|we|you"
    r"|(?:the |a |any |this |another )?(?:question|query|request|prompt|conversation|topic|task)s?)"
)
_OLD = (
    r"(?:previous|prior|above|earlier|preceding|foregoing|former|existing|original|initial|past|other|all|any|every|your|the|these|those|system|safety"
    r"|developer|admin)"
)
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|polic(?:y|ies)|constraints?|restrictions?|safeguards?"
    r"|guardrails?|filters?|programming|system message|training|context)"
)


_DROP = (
    "ignore",
    "disregard",
    "forget",
    "overrid",
    "bypass",
    "neglect",
    "overlook",
    "discard",
    "drop",
    "abandon",
    "follow",
    "attention",
    "set aside",
    "obey",
    "heed",
)
_WHEN = ("when", "if", "time", "once", "should", "in case", "soon", "in re", "in answer")

ALWAYS: tuple[Rule, ...] = (
    Rule("tells to drop instructions", _DROP, re.compile(
        rf"\b(?:ignore|disregard|forget|override|bypass|neglect|overlook|discard|drop|abandon|stop following|do not follow|don't follow|pay no attention to)"
        rf"\s{{1,3}}(?:about |all |any |every |everything |of |in |the |your |my ){{0,1}}(?:of ){{0,1}}(?:the |your |my ){{0,1}}"
        rf"(?:previous|prior|above|earlier|preceding|foregoing|existing|original|initial|system|safety|developer|other)[^.!?\n]{{0,30}}?\b{_RULES}\b")),
    Rule("imitates the marks of a prompt", ("<", "["), re.compile(
        r"<\|{0,1}(?:im_start|im_end|im_sep|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|system|assistant|end_of_turn)\|{0,1}>"
        r"|<\|(?:user|tool|channel|message)\|>|<<\s{0,2}/?sys\s{0,2}>>|\[/?inst\]|<(?:start|end)_of_turn>")),
    Rule("sends data away", ("http", "www", "@", "webhook", "endpoint", "this ", "our "), re.compile(
        rf"\b{_SEND}\b[^.!?\n]{{0,40}}?\b(?:all |every |the user's |any |your )(?:of )?(?:the |your |their |stored |saved |user )?{_DATA}[^!?\n]{{0,60}}?{_PLACE}")),
    Rule("steers answers to others", _WHEN, re.compile(
        rf"\b(?:when|whenever|if|any ?time|every ?time|each time|once)\b[^.!?\n]{{0,30}}?\b(?:users?|anyone|anybody|another user|other users?|customers?)\b"
        rf"[^.!?\n]{{0,25}}?\b(?:asks?|queries|inquires?|requests?|wants to know|searche?s?)\b[^.!?\n]{{0,90}}?"
        rf"(?:[,;:]|\bthen|\balways|\byou (?:must|should|will|shall))\s{{1,3}}(?:please |you |must |should |always |only |simply |just ){{0,1}}{_SAY}\b")),
)  # fmt: skip
"""Held in every tier: nobody says these in the course of talking."""

UNLESS_USER: tuple[Rule, ...] = (
    Rule("tells to drop instructions", _DROP, re.compile(
        rf"\b(?:ignore|disregard|forget|override|bypass|overlook|discard|set aside|stop following|(?:do not|don't) (?:follow|obey)|pay no (?:attention|heed) to)\b"
        rf"[^.!?\n]{{0,25}}?\b{_OLD}\b[^.!?\n]{{0,30}}?\b(?:{_RULES}|everything|messages?|memor(?:y|ies)|answers?|sources?)\b")),
    Rule("sets a rule for the time to come", ("from now", "from this", "from here", "hence", "going forward", "hereafter", "starting", "future"), re.compile(
        rf"\b(?:from now on|from this (?:point|moment|day) (?:on|forward|onwards?)|from here on(?: out)?|henceforth|going forward|hereafter|starting (?:now|today)"
        rf"|(?:in|for) (?:all|any|every) future [a-z]{{1,20}})\b(?:[^.!?\n]{{0,50}}?\b(?:you|always|never|{_MACHINE})\b|[,:]{{0,1}}\s{{1,3}}(?:please ){{0,1}}(?:{_SAY}|treat|assume|consider)\b)")),
    Rule("steers answers", _WHEN, re.compile(
        rf"\b(?:when|whenever|if|any ?time|every ?time|each time|once|should|in case|as soon as|in (?:response|reply|answer) to)\b[^.!?\n]{{0,30}}?\b{_WHO}\b"
        rf"[^.!?\n]{{0,25}}?\b(?:ask|asks|asked|asking|quer(?:y|ies|ied)|inquires?|enquires?|requests?|wants? to know|wonders?|mentions?|brings? up|concern(?:s|ing)?"
        rf"|about|relat(?:es|ed|ing) to|involves?|refers? to|searche?s?)\b[^.!?\n]{{0,90}}?(?:[,;:]|\bthen|\balways|\bmust|\bshould|\bshall|\bhave to|\bneed to)"
        rf"\s{{1,3}}(?:please |you |must |should |always |only |simply |just |the assistant |the agent |it |that ){{0,1}}{_SAY}\b")),
    Rule("speaks to a machine", ("ai", "assist", "agent", "llm", "model", "bot", "gpt", "copilot", "system", "developer", "jailbroken"), re.compile(
        rf"\b(?:note|notice|message|instructions?|attention|important|reminder|memo|warning|directive|guidance)\b[^.!?\n]{{0,12}}?\b(?:to|for)\b\s{{1,3}}"
        rf"(?:all |any |the |every |you, the ){{0,1}}(?:ai |llm |helpful |intelligent ){{0,1}}{_MACHINE}\b(?![-\w])"
        rf"|\b(?:ai (?:assistants?|agents?|models?|systems?)|assistants?|llms?|language models?|chat ?bots?)\s{{1,3}}(?:reading this|processing this|must|should|shall|(?:is|are) (?:required|instructed|expected|obliged) to|ha(?:s|ve) to|needs? to)\b"
        rf"|\b(?:dear|attention|hey|hello)[,:]{{0,1}} (?:ai|assistant|agent|language model|chat ?bot|llm)s?\b"
        rf"|\byou are (?:now )?(?:an? |the |in )?(?:helpful |unrestricted |uncensored |new )?(?:ai|assistant|language model|chat ?bot|llm|developer mode|jailbroken)\b"
        rf"|\bas an? (?:ai|assistant|language model|llm|chat ?bot)(?: assistant| model)?,? you\b|\bif you are an? (?:ai|assistant|language model|llm|agent|bot)\b")),
    Rule("imitates the marks of a prompt", ("system", "assistant", "developer", "instruct", "response", "<", '"role"', '"tool', '"func', "prompt", "message", "[admin", "end of"), re.compile(
        r"(?:^|\n)\s{0,4}(?:#{1,4} {0,2})?(?:system|assistant|developer)(?: (?:prompt|message|instruction|note|update|override))?\s{0,2}:\s"
        r"|(?:^|\n)\s{0,4}#{1,4} {0,2}(?:system|instructions?|response|assistant)\s{0,2}:{0,1}\s{0,4}(?=\n)"
        r"|</?(?:system|assistant|instructions?|tool_call|tool_calls|function_call|tool_use|tool_result|memory|memories|context|admin|prompt)>"
        r"|\"role\"\s{0,3}:\s{0,3}\"(?:system|assistant|tool|developer)\"|\"(?:tool_calls?|function_call|tool_use)\"\s{0,3}:"
        r"|\b(?:begin|end|start)(?: of)?(?: the)? (?:system|user|hidden|secret|developer) (?:prompt|instructions?|message)\b|\[(?:system|assistant|admin|developer)(?: [a-z]{1,12})?\]"
        r"|\b(?:new|updated|revised) (?:system|developer) (?:prompt|message|instructions?|rule)\b|\bend of (?:context|retrieved|memor(?:y|ies)|documents?)\b")),
    Rule("sends data away", ("http", "www", "@", "webhook", "endpoint", "this ", "our "), re.compile(
        rf"\b{_SEND}\b[^.!?\n]{{0,60}}?\b{_DATA}\b[^!?\n]{{0,60}}?{_PLACE}"
        rf"|!\[[^\]\n]{{0,80}}\]\(https?://[^)\s]{{0,200}}?[?&=/](?:\{{|<|\$|%7b)"
        rf"|https?://[^\s]{{0,200}}?[?&][\w-]{{1,30}}=(?:\{{|<|\[|%7b|\$)[^\s]{{0,40}}")),
    Rule("claims to be trusted", ("as", "to", "in", "this", "overrid", "supersed", "take", "replace", "invalidat", "previous", "earlier", "older", "prior", "other", "existing", "stored", "saved"), re.compile(
        r"\b(?:remember|memori[sz]e|store|save|record|mark|treat|consider|regard|keep|add|commit|write|log|file)\b[^.!?\n]{0,30}?\b(?:this|that|it|the following|these|below|above)\b[^.!?\n]{0,40}?"
        r"\b(?:as|to|in|into)\b\s{1,3}(?:an? |the |your |being |absolutely |fully |a verified |permanent ){0,1}(?:trusted|verified|true|truth|ground truth|authoritative|official|permanent|fact|factual|canonical"
        r"|high[- ]priority|top[- ]priority|long[- ]term memory|memory|memory bank|only (?:correct|valid|true))\b"
        r"|\bthis (?:memory|fact|note|entry|information|statement|record|message|document|passage|instruction) (?:is|has been|was) (?:now )?(?:verified|trusted|authoritative|official|approved|pre-?approved|signed"
        r"|confirmed by (?:the )?(?:user|admin|administrator|system|owner))"
        r"|\b(?:overrides?|supersedes?|takes? (?:precedence|priority) over|replaces?|invalidates?)\b[^.!?\n]{0,20}?\b(?:all|any|every|every other|earlier|previous|prior|other|existing|older|conflicting)\b"
        r"[^.!?\n]{0,20}?\b(?:memor(?:y|ies)|records?|entries|information|facts?|notes?|statements?|sources?|instructions?|answers?|knowledge)\b"
        r"|\b(?:previous|earlier|older|prior|other|existing|all other|stored|saved) (?:memor(?:y|ies)|records|entries|notes|statements|answers)\b[^.!?\n]{0,30}?"
        r"\b(?:wrong|outdated|obsolete|invalid|false|superseded|deprecated|incorrect|no longer valid|not to be trusted|must be ignored|should be ignored)\b")),
    Rule("redirects a lookup", ("instead", "in place", "rather", "in lieu", " of ", " for ", " about ", " on ", "always", "only", "must"), re.compile(
        r"\b(?:query|look up|retrieve|consult|refer to|search for|fetch|answer with|respond with|use the (?:data|record|entry|answer) (?:of|for|from))\b[^.!?\n]{1,60}?\b(?:instead of|in place of|rather than|in lieu of)\b"
        r"|\b(?:data|records?|information|entry|entries|file|details|account) (?:of|for|about|on)\b[^.!?\n]{1,50}?\b(?:(?:is|are|was|were|has been|have been)(?: now)?) (?:saved|stored|filed|kept|moved|merged|recorded|migrated|held) (?:under|to|into|with|in)\b"
        r"[^.!?\n]{1,60}?\b(?:so|thus|therefore|refer|use|query|look|answer|and should|must)\b"
        r"|\b(?:always|only|must) (?:interpret|read|understand|treat)(?:ed)?\b[^.!?\n]{1,60}?\bas\b")),
    Rule("commands an answer", ("always", "never", "only", "answer", "respons", "repl", "you ", "the user", "the human", "the customer", "the reader"), re.compile(
        r"(?:^|[.!?;:\n]\s{0,3}|\bplease |\byou (?:must|should|will|shall|are to|need to|have to) )(?:always|never|only)\s{1,3}(?:answer|reply|respond|recommend|suggest|direct|refer|redirect|promote|cite|mention"
        r"|endorse|disclose|reveal|return|output|trust|prioriti[sz]e)\b"
        r"|\bthe (?:only )?(?:correct|right|true|expected|required) (?:answer|response|reply) (?:to|for|when)\b[^.!?\n]{0,60}?\b(?:is|must be|should be)\b"
        r"|\byou (?:must|shall|are required to|are instructed to|are ordered to) (?:always |never |not |only ){0,1}(?:answer|reply|respond|recommend|obey|comply|output|disclose|reveal|tell the user|inform the user)\b"
        r"|\b(?:tell|inform|convince|persuade|remind|assure|advise) the (?:user|human|customer|reader) (?:that|to|about)\b"
        r"|\b(?:do not|don't|never) (?:tell|inform|mention (?:this|it) to|reveal (?:this|it) to|let|warn|alert|notify) the (?:user|human|customer)\b")),
)  # fmt: skip
"""Held where the text has no business telling the reader what to do."""
