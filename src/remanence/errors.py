"""Everything Remanence raises. Each message says what happened and what to do next.

RemanenceError
├── InputError (ValueError)          what was passed cannot be used; nothing was written
│   ├── InputTooLargeError           over a limit of `Settings`
│   │   └── ContextTooLongError      more tokens than the model has positions for
│   ├── IdempotencyConflictError     the same key came with other content
│   ├── UnreadableFileError          a file that `ingest` or `import` cannot turn into cubes
│   ├── TransitionError              a memory's state does not lead to the one that was asked for
│   │   └── FrozenError              it is frozen: nothing of it changes until it is unfrozen
│   ├── ForgottenError               the text was forgotten before, and is not learned again silently
│   ├── SourceRevokedError           nothing is taken from this source any more
│   └── StaleError                   a cache or an adapter was made from memories that have changed since
├── NotFoundError (LookupError)
│   ├── UnknownCubeError             no cube has this id (or it was forgotten)
│   └── UnknownSpaceError            nothing was ever written to this space
├── StoreError
│   ├── NotAStoreError               the file is something else, or this kind of store is not built yet
│   ├── StoreTooNewError             written by a later release
│   ├── StoreBusyError               another process held the write lock for too long
│   ├── StoreFullError               no room left on the disk; what was acknowledged is safe
│   ├── StoreUnwritableError         the file or its folder refuses writes
│   ├── StoreDamagedError            the file fails its own checks
│   │   └── PayloadDamagedError      the file of a cache or an adapter is missing, or is not what was written
│   ├── QuotaError                   a cache or an adapter is larger than the room that the settings give
│   └── StoreClosedError             used after `close`
├── ForgetIncompleteError            a trace could not be removed or not be ruled out
├── AccessDeniedError (PermissionError)  the caller has no right to do this there
├── AuditError                       the journal, its signatures or an export of it do not hold
│   ├── ReceiptError                 a receipt does not hold
│   └── KeyMissingError              the signing key is not there, or no key
├── AdmissionError                   a change cannot be tried, promoted or rolled back
├── ModelError
│   ├── ModelMissingError            the weights are not on this machine
│   ├── ModelDamagedError            the weights are not the ones they claim to be
│   ├── EmbedderMismatchError        the store was built with another embedder
│   ├── EndpointError                a remote model refused, failed or answered nonsense
│   ├── BrokenAnswerError            a language model's answer is not the JSON that was asked for
│   ├── BudgetError                  the next call could take more than the budget has left; nothing was sent
│   ├── NoModelError                 something was asked for that needs a language model, and none is set
│   ├── ModelMismatchError           a cache or an adapter was made with another model
│   ├── UnsupportedModelError        a method does not know this architecture
│   ├── TrainingError                a training broke off: the loss is not a number, or there is nothing to learn from
│   └── GateError                    an adapter did not pass its gate, and is not used
└── MissingExtraError (ImportError)  an optional part is not installed
"""

from __future__ import annotations


class RemanenceError(Exception):
    """The root. `what` happened, and the `next_step` for the caller."""

    def __init__(self, what: str, next_step: str = "") -> None:
        self.what = what
        self.next_step = next_step
        super().__init__(f"{what} {next_step}".strip())


class InputError(RemanenceError, ValueError):
    """What was passed cannot be used. Nothing was written."""


class InputTooLargeError(InputError):
    """A text, a question, a batch or a file is over a limit of `Settings`."""


class ContextTooLongError(InputTooLargeError):
    """More tokens than the model has positions for."""


class IdempotencyConflictError(InputError):
    """An idempotency key was used again with other content."""


class UnreadableFileError(InputError):
    """A file cannot be turned into cubes."""


class TransitionError(InputError):
    """The state of a memory does not lead to the one that was asked for."""


class FrozenError(TransitionError):
    """The memory is frozen: nothing of it changes until it is unfrozen."""


class ForgottenError(InputError):
    """The text was forgotten before, and is not learned again silently."""


class SourceRevokedError(InputError):
    """The source was revoked: nothing is taken from it any more."""


class StaleError(InputError):
    """A cache or an adapter was made from memories that have changed since."""


class NotFoundError(RemanenceError, LookupError):
    """Something was named that the store does not hold."""


class UnknownCubeError(NotFoundError):
    """No cube has this id, or it was forgotten."""


class UnknownSpaceError(NotFoundError):
    """Nothing was ever written to this space."""


class StoreError(RemanenceError):
    """The store could not do its work."""


class NotAStoreError(StoreError):
    """The location does not hold a Remanence store."""


class StoreTooNewError(StoreError):
    """The file was written by a later release."""


class StoreBusyError(StoreError):
    """Another process held the write lock for longer than `Settings.busy_timeout`."""


class StoreFullError(StoreError):
    """No room is left on the disk. What was acknowledged before is safe."""


class StoreUnwritableError(StoreError):
    """The file or its folder refuses writes."""


class StoreDamagedError(StoreError):
    """The file fails its own checks."""


class PayloadDamagedError(StoreDamagedError):
    """The file of a cache or an adapter is missing, or is not what was written."""


class QuotaError(StoreError):
    """A cache or an adapter is larger than the room that `Settings.payload_quota` gives."""


class StoreClosedError(StoreError):
    """The memory was used after `close`."""


class ForgetIncompleteError(RemanenceError):
    """A trace of an erased cube could not be removed, or its absence could not be shown."""

    def __init__(self, what: str, next_step: str = "", receipt: object = None) -> None:
        super().__init__(what, next_step)
        self.receipt = receipt
        """The `Receipt` that says what was found; None where none was written yet."""


class AccessDeniedError(RemanenceError, PermissionError):
    """The caller has no right to do this there."""


class AuditError(RemanenceError):
    """The journal, its signatures or an export of it do not hold."""


class ReceiptError(AuditError):
    """A receipt does not hold: it was changed, or its signature is another's."""


class KeyMissingError(AuditError):
    """The signing key is not there, or is no key."""


class AdmissionError(RemanenceError):
    """A change cannot be tried, promoted or rolled back."""


class ModelError(RemanenceError):
    """A model could not do its work."""


class ModelMissingError(ModelError):
    """The weights are not on this machine."""


class ModelDamagedError(ModelError):
    """The files of a model are not the ones they claim to be."""


class EmbedderMismatchError(ModelError):
    """The store was built with another embedder than the one in use."""


class EndpointError(ModelError):
    """A remote model refused, failed, or answered something else than the protocol says."""


class BrokenAnswerError(ModelError):
    """A language model's answer is not the JSON that was asked for, also after asking again."""

    def __init__(self, what: str, next_step: str = "", cost: object = None) -> None:
        super().__init__(what, next_step)
        self.cost = cost
        """The `Cost` of the answers that could not be used, where it is known: they are paid for all the same."""


class BudgetError(ModelError):
    """The next call of a language model could take more than its budget has left. Nothing was sent."""


class NoModelError(ModelError):
    """Something was asked for that needs a language model, and the settings name none."""


class ModelMismatchError(ModelError):
    """A cache or an adapter was made with another model: other weights, tokenizer, adapter, dtype, template or rope."""


class UnsupportedModelError(ModelError):
    """A method does not know this architecture."""


class TrainingError(ModelError):
    """A training broke off: the loss is not a number, or there is nothing to learn from. What was active before stays so."""


class GateError(ModelError):
    """An adapter did not pass its gate, and is not used."""

    def __init__(self, what: str, next_step: str = "", report: object = None) -> None:
        super().__init__(what, next_step)
        self.report = report
        """The report that says which limit was missed."""


class MissingExtraError(RemanenceError, ImportError):
    """An optional part is not installed."""
