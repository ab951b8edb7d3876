"""Carry a state dict over to another project's names, strictly, in either direction."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import torch

from actionlib.convert.maps import MAPS
from actionlib.convert.rules import Axes, Context, KeyMap
from actionlib.errors import CheckpointError, RecipeError
from actionlib.models.csn import in_form_of
from actionlib.zoo import check_same_tensors, create_model, entry_of
from actionlib.zoo_table import CLASSES

CLASSIFIER_BIAS = "head.fc.bias"
COUNTER = "num_batches_tracked"


def from_upstream(
    state_dict: Mapping[str, torch.Tensor], *, model: str, upstream: str
) -> dict[str, torch.Tensor]:
    """A checkpoint of another project under our names, ready for `load_state_dict`.

    The class count is the checkpoint's, which need not be the entry's. What the project does not keep has the value
    that stands for its absence: 0 for batch counters and a classifier, 1 for the scale of a batch norm.

    Args:
        state_dict: the project's tensors by the project's names; not changed, values are shared where the layout
            is.
        model: entry of the zoo whose network it holds.
        upstream: the project: `mmaction`, `gluoncv_torch`, ... as in `ModelInfo.source.upstream`.

    Raises:
        RecipeError: for an unknown entry or a project that has no key map for it.
        CheckpointError: where a tensor is missing, left over or of another shape; it lists both sides.
    """
    key_map = find_map(model, upstream)
    wanted = _tensors(model, _class_count(state_dict, key_map, model))
    names = _names(wanted, key_map)
    found = {
        ours: [name for name in _all_names(theirs, key_map) if name in state_dict]
        for ours, theirs in names.items()
    }
    wanted = in_form_of(wanted, {ours: state_dict[present[0]] for ours, present in found.items() if present})
    used = {name for present in found.values() for name in present}
    result: dict[str, torch.Tensor] = {}
    problems: list[str] = []
    for ours, theirs in names.items():
        values = [state_dict[name] for name in found[ours]]
        axes = _axes(ours, key_map)
        shape = _to_theirs(wanted[ours], axes).shape
        if not values:
            problems.append(f"missing: {theirs} {tuple(shape)} for our {ours}")
        elif any(not torch.equal(v, values[0]) for v in values[1:]):
            problems.append(f"not equal: {' and '.join(found[ours])}, names of one tensor")
        elif values[0].shape != shape:
            problems.append(f"shape: {theirs} is {tuple(values[0].shape)}, ours {tuple(shape)} ({ours})")
        else:
            result[ours] = _to_ours(values[0], axes)
    problems += [
        f"unknown: {name} {tuple(value.shape)}"
        for name, value in state_dict.items()
        if name not in used and not (key_map.ignored and re.fullmatch(key_map.ignored, name))
    ]
    if problems:
        what = f"this checkpoint is not {model} of {upstream}: {len(problems)} differences"
        raise CheckpointError("\n  ".join([what, *problems]))
    absent = {
        k: torch.full(v.shape, _filled(k, key_map) or 0, dtype=v.dtype, device="cpu")
        for k, v in wanted.items()
        if k not in names
    }
    return {**result, **absent}


def to_upstream(
    state_dict: Mapping[str, torch.Tensor], *, model: str, upstream: str
) -> dict[str, torch.Tensor]:
    """The reverse of `from_upstream`: our tensors under the project's names, second names included.

    Raises:
        RecipeError: for an unknown entry or a project that has no key map for it.
        CheckpointError: where `state_dict` is not one of this entry, listing both sides, or has values that the
            project keeps no tensor for.
    """
    key_map = find_map(model, upstream)
    if CLASSIFIER_BIAS not in state_dict:
        raise CheckpointError(f"{CLASSIFIER_BIAS} is not in the state dict: it is not one of {model}")
    wanted = _tensors(model, len(state_dict[CLASSIFIER_BIAS]))
    check_same_tensors(wanted, state_dict, f"this state dict is not one of {model}")
    for ours, value in state_dict.items():
        fixed = _filled(ours, key_map)
        if fixed is not None and not bool((value == fixed).all()):
            raise CheckpointError(
                f"{ours} is not {fixed:g} throughout, and {upstream} keeps no such tensor for {model}"
            )
    result: dict[str, torch.Tensor] = {}
    for ours, theirs in _names(wanted, key_map).items():
        tensor = _to_theirs(state_dict[ours], _axes(ours, key_map))
        result |= dict.fromkeys(_all_names(theirs, key_map), tensor)
    return result


def find_map(model: str, upstream: str) -> KeyMap:
    """The key map of an entry in a project. Raises RecipeError naming the projects that have one."""
    if streams := entry_of(model).fused_from:
        raise RecipeError(
            f"{model} has no checkpoint of its own: convert those of {' and '.join(streams)} and join them with "
            "actionlib.models.two_stream.fuse"
        )
    for project, pattern, key_map in MAPS:
        if project == upstream and fnmatch.fnmatchcase(model, pattern):
            return key_map
    known = sorted({project for project, pattern, _ in MAPS if fnmatch.fnmatchcase(model, pattern)})
    raise RecipeError(
        f"no key map for {model} in {upstream!r}; there is one for {', '.join(known) or 'no project'}"
    )


def _class_count(state_dict: Mapping[str, torch.Tensor], key_map: KeyMap, model: str) -> int:
    if _filled(CLASSIFIER_BIAS, key_map) is not None:
        return CLASSES[entry_of(model).dataset]
    bias = _rename(CLASSIFIER_BIAS, key_map, Context({}, 0))
    patterns = [key_map.classifier or re.escape(bias), *map(re.escape, _all_names(bias, key_map)[1:])]
    for name, tensor in state_dict.items():
        if tensor.ndim == 1 and any(re.fullmatch(pattern, name) for pattern in patterns):
            return len(tensor)
    shown = ", ".join([*list(state_dict)[:3], "...", *list(state_dict)[-3:]])
    raise CheckpointError(
        f"no classifier in this checkpoint: {model} needs a key like {patterns[0]}; it has {shown}"
    )


@functools.lru_cache(maxsize=8)  # both directions and several files of a network ask for the same
def _tensors(model: str, classes: int) -> dict[str, torch.Tensor]:
    """Names and shapes of the entry's state dict, without memory behind them."""
    with torch.device("meta"):
        network = create_model(model, num_classes=classes)
    return dict(network.state_dict())


def _names(wanted: Mapping[str, torch.Tensor], key_map: KeyMap) -> dict[str, str]:
    """Our name to the project's, for every tensor that the project stores."""
    context = Context(_blocks(wanted), len(wanted[CLASSIFIER_BIAS]))
    names = {
        ours: _rename(ours, key_map, context)
        for ours in wanted
        if (key_map.counters or not ours.endswith(COUNTER)) and _filled(ours, key_map) is None
    }
    doubled = [name for name, count in Counter(names.values()).items() if count > 1]
    if doubled:
        raise RuntimeError(f"the rules give several tensors one name: {', '.join(doubled)}")
    return names


def _blocks(keys: Iterable[str]) -> dict[str, int]:
    """How many blocks each stage has; in both pathways of SlowFast it has as many."""
    blocks = {m.groups() for k in keys if (m := re.match(r"backbone\.(?:slow\.)?stage(\d)\.(\d+)\.", k))}
    return Counter(stage for stage, _ in blocks)


def _all_names(theirs: str, key_map: KeyMap) -> list[str]:
    """The name itself and then all others that the project has for the same tensor."""
    others = (re.sub(pattern, other, theirs) for pattern, other in key_map.twins)
    return list(dict.fromkeys([theirs, *others]))


def _rename(name: str, key_map: KeyMap, context: Context) -> str:
    for pattern, replacement in key_map.rules:
        if isinstance(replacement, str):
            name = re.sub(pattern, replacement, name)
        else:
            function = replacement
            name = re.sub(pattern, lambda match: function(match, context), name)  # noqa: B023
    return name


def _filled(name: str, key_map: KeyMap) -> float | None:
    """What a tensor of ours is where the project does not keep it; None where it does."""
    return next((value for pattern, value in key_map.filled if re.search(pattern, name)), None)


def _axes(name: str, key_map: KeyMap) -> Axes | None:
    return next((axes for pattern, axes in key_map.layout if re.search(pattern, name)), None)


def _to_theirs(tensor: torch.Tensor, axes: Axes | None) -> torch.Tensor:
    if axes is None:
        return tensor
    kept = [axis for axis in axes if axis is not None]
    moved = tensor.permute(kept + _left_out(kept)).contiguous()
    return moved.reshape([1 if axis is None else tensor.shape[axis] for axis in axes])


def _to_ours(tensor: torch.Tensor, axes: Axes | None) -> torch.Tensor:
    """The reverse of `_to_theirs`, of a tensor that has its shape."""
    if axes is None:
        return tensor
    kept = [axis for axis in axes if axis is not None]
    sizes = [size for size, axis in zip(tensor.shape, axes, strict=True) if axis is not None]
    order = kept + _left_out(kept)
    moved = tensor.reshape(sizes + [1] * len(_left_out(kept)))
    return moved.permute([order.index(axis) for axis in range(len(order))]).contiguous()


def _left_out(kept: list[int]) -> list[int]:
    """Axes of ours before the last one kept that the project does not have; they are 1 long."""
    return [axis for axis in range(max(kept)) if axis not in kept]
