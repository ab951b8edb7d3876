"""Carry a state dict over to another project's names, strictly, in either direction."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import torch

from actionlib.convert.maps import MAPS
from actionlib.convert.rules import Context, KeyMap
from actionlib.errors import CheckpointError, RecipeError
from actionlib.zoo import check_same_tensors, create_model, entry_of

CLASSIFIER_BIAS = "head.fc.bias"
COUNTER = "num_batches_tracked"


def from_upstream(
    state_dict: Mapping[str, torch.Tensor], *, model: str, upstream: str
) -> dict[str, torch.Tensor]:
    """A checkpoint of another project under our names, ready for `load_state_dict`.

    The class count is the checkpoint's, which need not be the entry's. Batch counters that the project does not
    keep are zero.

    Args:
        state_dict: the project's tensors by the project's names; not changed, values are shared.
        model: entry of the zoo whose network it holds.
        upstream: the project: `mmaction`, `gluoncv_torch`, ... as in `ModelInfo.source.upstream`.

    Raises:
        RecipeError: for an unknown entry or a project that has no key map for it.
        CheckpointError: where a tensor is missing, left over or of another shape; it lists both sides.
    """
    key_map = find_map(model, upstream)
    wanted = _tensors(model, _class_count(state_dict, key_map, model))
    names = _names(wanted, key_map)
    second = dict(key_map.twins)
    result: dict[str, torch.Tensor] = {}
    problems: list[str] = []
    used: set[str] = set()
    for ours, theirs in names.items():
        found = [n for n in (theirs, second.get(theirs, theirs)) if n in state_dict]
        used.update(found)
        values = [state_dict[n] for n in found]
        if not values:
            problems.append(f"missing: {theirs} {tuple(wanted[ours].shape)} for our {ours}")
        elif any(not torch.equal(v, values[0]) for v in values[1:]):
            problems.append(f"not equal: {theirs} and its second name {second[theirs]}")
        elif values[0].shape != wanted[ours].shape:
            shapes = f"{tuple(values[0].shape)}, ours {tuple(wanted[ours].shape)}"
            problems.append(f"shape: {theirs} is {shapes} ({ours})")
        else:
            result[ours] = values[0]
    for name, shape in _unused(key_map, wanted).items():
        if name in state_dict and state_dict[name].shape != shape:
            problems.append(f"shape: {name} is {tuple(state_dict[name].shape)}, should be {shape} (not used)")
        used.add(name)
    problems += [f"unknown: {n} {tuple(v.shape)}" for n, v in state_dict.items() if n not in used]
    if problems:
        what = f"this checkpoint is not {model} of {upstream}: {len(problems)} differences"
        raise CheckpointError("\n  ".join([what, *problems]))
    counters = {k: torch.zeros((), dtype=torch.int64) for k in wanted if k not in names}
    return {**result, **counters}


def to_upstream(
    state_dict: Mapping[str, torch.Tensor], *, model: str, upstream: str
) -> dict[str, torch.Tensor]:
    """The reverse of `from_upstream`: our tensors under the project's names, second names included.

    Tensors that no score depends on and we do not keep, such as an auxiliary head, are zeros.

    Raises:
        RecipeError: for an unknown entry or a project that has no key map for it.
        CheckpointError: where `state_dict` is not one of this entry; it lists both sides.
    """
    key_map = find_map(model, upstream)
    if CLASSIFIER_BIAS not in state_dict:
        raise CheckpointError(f"{CLASSIFIER_BIAS} is not in the state dict: it is not one of {model}")
    wanted = _tensors(model, len(state_dict[CLASSIFIER_BIAS]))
    check_same_tensors(wanted, state_dict, f"this state dict is not one of {model}")
    second = dict(key_map.twins)
    result = {}
    for ours, theirs in _names(wanted, key_map).items():
        result[theirs] = state_dict[ours]
        if theirs in second:
            result[second[theirs]] = state_dict[ours]
    return {**result, **{name: torch.zeros(shape) for name, shape in _unused(key_map, wanted).items()}}


def find_map(model: str, upstream: str) -> KeyMap:
    """The key map of an entry in a project. Raises RecipeError naming the projects that have one."""
    entry_of(model)
    for project, pattern, key_map in MAPS:
        if project == upstream and fnmatch.fnmatchcase(model, pattern):
            return key_map
    known = sorted({project for project, pattern, _ in MAPS if fnmatch.fnmatchcase(model, pattern)})
    raise RecipeError(
        f"no key map for {model} in {upstream!r}; there is one for {', '.join(known) or 'no project'}"
    )


def _class_count(state_dict: Mapping[str, torch.Tensor], key_map: KeyMap, model: str) -> int:
    bias = key_map.classifier or re.escape(_rename(CLASSIFIER_BIAS, key_map, Context({}, 0)))
    patterns = [bias, *(re.escape(second) for first, second in key_map.twins if re.fullmatch(bias, first))]
    for name, tensor in state_dict.items():
        if tensor.ndim == 1 and any(re.fullmatch(pattern, name) for pattern in patterns):
            return len(tensor)
    shown = ", ".join([*list(state_dict)[:3], "...", *list(state_dict)[-3:]])
    raise CheckpointError(
        f"no classifier in this checkpoint: {model} needs a key like {bias}; it has {shown}"
    )


@functools.lru_cache(maxsize=8)  # both directions and several files of a network ask for the same
def _tensors(model: str, classes: int) -> dict[str, torch.Tensor]:
    """Names and shapes of the entry's state dict, without memory behind them."""
    with torch.device("meta"):
        network = create_model(model, num_classes=classes)
    return dict(network.state_dict())


def _unused(key_map: KeyMap, wanted: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Name and shape of the project's tensors that no score depends on."""
    classes = len(wanted[CLASSIFIER_BIAS])
    return {name: tuple(size or classes for size in shape) for name, shape in key_map.unused}


def _names(wanted: Mapping[str, torch.Tensor], key_map: KeyMap) -> dict[str, str]:
    """Our name to the project's, for every tensor that the project stores."""
    context = Context(_offsets(wanted), len(wanted[CLASSIFIER_BIAS]))
    names = {
        ours: _rename(ours, key_map, context)
        for ours in wanted
        if key_map.counters or not ours.endswith(COUNTER)
    }
    doubled = [name for name, count in Counter(names.values()).items() if count > 1]
    if doubled:
        raise RuntimeError(f"the rules give several tensors one name: {', '.join(doubled)}")
    return names


def _offsets(keys: Iterable[str]) -> dict[str, int]:
    """How many blocks come before each stage."""
    blocks = {m.groups() for k in keys if (m := re.match(r"backbone\.stage(\d)\.(\d+)\.", k))}
    counts = Counter(stage for stage, _ in blocks)
    return {stage: sum(n for other, n in counts.items() if other < stage) for stage in counts}


def _rename(name: str, key_map: KeyMap, context: Context) -> str:
    for pattern, replacement in key_map.rules:
        if isinstance(replacement, str):
            name = re.sub(pattern, replacement, name)
        else:
            function = replacement
            name = re.sub(pattern, lambda match: function(match, context), name)  # noqa: B023
    return name
