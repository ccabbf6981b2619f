"""The base of every configuration: frozen, without unknown keys, with a content hash, read from YAML."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo

from dfd_core.errors import ConfigError, UnknownNameError

HASH_LENGTH = 12
# a name alone is no secret but with HTTP, where it may be a token; `github://OWNER:NAME@REVISION/` is no login
_LOGIN = re.compile(r"https?://[^/?#]*@|(?<!github)(?<!git)://[^/?#@]*:[^/?#]*@", re.IGNORECASE)
_SIGNED = re.compile(
    r"[?&]((?:x-amz-|x-goog-)(?:signature|credential|security-token)|awsaccesskeyid|sig|signature|password|"
    r"[a-z_-]*token|api[_-]?key)=",
    re.IGNORECASE,
)


class Spec(BaseModel):
    """A frozen description of something that can be made."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def content_hash(self) -> str:
        """12 hexadecimal digits that change when any field does."""
        return content_hash(self.model_dump(mode="json"))


def is_url(location: str) -> bool:
    """Whether a location names its file system (`s3://...`, `zip://...::...`), else it is a local path."""
    return "://" in location or "::" in location


def _from_the_configs_folder(location: str, info: ValidationInfo) -> str:
    base = (info.context or {}).get("base")
    if base is None or is_url(location):
        return location
    return str((Path(base) / Path(location).expanduser()).resolve())


def without_secrets(location: str) -> str:
    """A location as it is; they are written into cards, manifests and reports, and printed.

    Raises:
        ValueError: It has a name, password, signature or token in it, which the message has not.
    """
    signed = _SIGNED.search(location)
    if is_url(location) and (signed or _LOGIN.search(location)):
        what = f"a signature or token (`{signed[1]}`)" if signed else "a name or password before `@`"
        raise ValueError(
            f"the address has {what} in it, which would be kept and printed. Leave it out, and log in the way that "
            "the provider's own client does: by its environment variables or its configuration file (~/.netrc for web "
            "servers)"
        )
    return location


def without_login(location: str) -> str:
    """A location for messages: without what stands before `@` where that may be a name and password."""
    return re.sub(r"://[^/?#]*@", "://***@", location)


Location = Annotated[str, AfterValidator(without_secrets), AfterValidator(_from_the_configs_folder)]
"""A local path or fsspec URL, without secrets. In a configuration file a relative path starts at the file's folder."""


def content_hash(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def readable_key(name: str, digest: str) -> str:
    """The key of an artefact: a readable part that is safe as a folder's name, then the hash."""
    return f"{safe_name(name)}-{digest}"


def safe_name(name: str) -> str:
    """A name without what folders' names may not have."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") or "unnamed"


Read = TypeVar("Read", bound=Spec)


def read_yaml(
    path: str | Path, model: type[Read], what: str, advice: str, context: dict[str, Any] | None = None
) -> Read:
    """Reads a YAML file as a spec.

    Args:
        path: The file.
        model: What it should be.
        what: The same in words, for errors: `configuration`.
        advice: How to get such a file, where there is none.
        context: For the model's validators.

    Raises:
        ConfigError: The file is missing, no YAML or not valid; the message names each wrong key, where it stands and
            what would be right.
    """
    try:
        values = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError(f"There is no {what} {path}. {advice}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The {what} {path} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        found = "nothing" if values is None else "a list" if isinstance(values, list) else "a single value"
        raise ConfigError(f"{path} must hold keys and values, it holds {found}.")
    return validated(values, model, what, str(path), context)


def validated(
    values: dict[str, Any], model: type[Read], what: str, name: str, context: dict[str, Any] | None = None
) -> Read:
    """A spec from its keys and values.

    Args:
        values: As a file would have them.
        model: What they should make.
        what: The same in words, for errors.
        name: Where they come from, for errors.
        context: For the model's validators.

    Raises:
        ConfigError: Names each wrong key, where it stands and what would be right.
    """
    try:
        return model.model_validate(values, context=context)
    except UnknownNameError as error:
        raise ConfigError(f"{name} is not a valid {what}: {error}") from error
    except ValidationError as error:
        raise ConfigError("\n".join([f"{name} is not a valid {what}:", *_problems(model, error)])) from error


class _Loader(yaml.SafeLoader):
    """YAML in which a key may not stand twice; PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _problems(model: type[BaseModel], error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False)
    # where an entry of a list is wrong, pydantic also finds the list too short
    wrong = {problem["loc"][:1] for problem in problems if problem["type"] != "too_short"}
    lines = []
    for problem in problems:
        if problem["type"] == "too_short" and problem["loc"][:1] in wrong:
            continue
        place = ".".join(str(part) for part in problem["loc"]) or "(whole)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = _unknown_key(model, problem["loc"])
        lines.append(f"  {place}: {message}")
    return lines


def _unknown_key(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    models, key = {model}, str(location[-1])
    for part in location[:-1]:
        below = {
            one for outer in models if part in outer.model_fields for one in _models(outer.model_fields[str(part)])
        }
        models = below or {one for one in models if _is_tagged(one, part)} or models
    fields = {name for one in models for name in one.model_fields}
    return str(UnknownNameError("key", key, fields)) if fields else f"There is no key named {key!r} here."


def _models(annotation: Any) -> set[type[BaseModel]]:
    """Every model that stands in an annotation, however deep in lists and unions."""
    if isinstance(annotation, FieldInfo):
        return _models(annotation.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for part in get_args(annotation) for model in _models(part)}


def _is_tagged(model: type[BaseModel], tag: int | str) -> bool:
    """Whether pydantic's name of a member of a union, a key that it has or the value of one, means this model."""
    return tag in model.model_fields or any(field.default == tag for field in model.model_fields.values())
