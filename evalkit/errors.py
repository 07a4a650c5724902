"""What can go wrong because of the user's input or machine.

EvalkitError            every one of them; its text is one sentence: what, where, and what to type next
├── ConfigError         an unknown task, model or key; a missing extra
├── DataError           a dataset that is absent, empty or malformed
│   └── NoSuchTaskError a folder of several tasks' data that lacks this one: a suite goes on without it
├── ModelError          a checkpoint that cannot be loaded, or is not the one that answered before
├── StoreError          a run directory that cannot be read or written
└── ImageError          a picture that cannot be decoded (one sample's failure, never the whole run's)

Only `cli` catches them, prints the sentence and exits non-zero. Anything else that is raised is a defect of evalkit.
"""


class EvalkitError(Exception):
    """A mistake or mishap that the user can mend; the text says how."""


class ConfigError(EvalkitError):
    """The command line or a config file asks for something that does not exist."""


class DataError(EvalkitError):
    """A dataset is absent, empty or malformed."""


class NoSuchTaskError(DataError):
    """A folder of local data has none for this task."""


class ModelError(EvalkitError):
    """A model cannot be loaded, or differs from the one whose answers are stored."""


class StoreError(EvalkitError):
    """A run directory cannot be read or written."""


class ImageError(EvalkitError):
    """A picture cannot be decoded."""
