"""Class lists of published data sets, pinned by a hash: a number means the same class in every copy.

A hash is the sha256 of the names, one a line, in Unicode form NFC and with single blanks. Two are kept: of the names in
order of their numbers, and of the sorted names, so that a message can say which of both differs.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actionlib.errors import LabelError


@dataclass(frozen=True)
class Pin:
    """A class list: how many names, their hash in each order that is in use, and sorted."""

    classes: int
    in_order: tuple[str, ...]
    names: str


def _sorted(classes: int, names: str) -> Pin:
    """A list whose official order is that of the sorted names."""
    return Pin(classes, (names,), names)


PINS = {
    "k400": _sorted(400, "e9f2806fe9109b851a80a74841244f6f8c9d10917fa0229cd82bab67f2f8e28f"),
    "k600": _sorted(600, "8dfca4202520ea8291ce0242ef33b006d0a0772b409663c090a2876bc1978dcf"),
    "k700": _sorted(700, "2f265d35aa76060219f7e83aff12f5aaba9d1fe27360aa83f11aad7a3648fc51"),
    "hmdb51": _sorted(51, "c24c56a7af6f3ea55c8fb2a8e5b2c3a42644fcc5d86e49313536cfbd3499538a"),
    "something_v2": _sorted(174, "c9c5a86ece619e1ab2e7ca0614c85377a534873e17108b13243e5d22089a0a85"),
    "ucf101": Pin(  # sorted without regard to case
        101,
        ("fabeefc51625dad8a5b960156ccf75eea4c3b914d95bc02b43618fd61ecd1930",),
        "745c32303fc09d541d15d3db235ea37cb84de2260ad76e6151b431a91ee6667e",
    ),
    "something_v1": Pin(  # the names of V2 in another order
        174,
        ("5465813d437e762ccee1d2090d585d6383665e9f0216e055d6d506993a8b3fd7",),
        "c9c5a86ece619e1ab2e7ca0614c85377a534873e17108b13243e5d22089a0a85",
    ),
    "jester": Pin(  # two copies are about, which swap "Pulling Hand In" and "Pushing Hand Away"
        27,
        (
            "613e1db7816be3c158b239d666fd1f826771ab099077023d4674ac46f51d6775",
            "e276b0171b36ef05440506d8ee8e10faa4171356c27a4278d6ce868aa1bea77e",
        ),
        "5563494b8147f6ab471fcff2fbc107fd2a0130ed1c3b305f7ffcff0e60e5778c",
    ),
    "thumos14": _sorted(20, "087d9fe91a779ba4611633ec609dc728a134d08d18ed14656fd52026c267a1aa"),
    "ava": Pin(  # the 60 evaluated actions by ascending id; the map of all 80 is another list
        60,
        ("822250f700051eef0ecc17a65853bfbe244613c97f0a9bdef52ca34785075d24",),
        "e4ac32366ea1bafb079e7fb2ffdc07ec8e78f0ec878c795757afa33148b09e36",
    ),
    "sports1m": Pin(
        487,
        ("89fec6f06ab2d41188d6f8d309ab2267bdcb8d8055130b764ba31a2f35a26553",),
        "5a9b169073fbb87a00ed4a6617709d2f5d191ebcb1473c0911d8a9d8cdde0d03",
    ),
}


def names_sha256(names: Iterable[str]) -> str:
    """The hash of class names in the order given; see the top of the file."""
    normal = [unicodedata.normalize("NFC", " ".join(name.split())) for name in names]
    return hashlib.sha256("".join(f"{name}\n" for name in normal).encode()).hexdigest()


def check_classes(dataset: str, classes: Sequence[str]) -> None:
    """Raises LabelError, saying what differs, unless `classes` is the pinned list of `dataset`, a key of `PINS`."""
    pin = PINS[dataset]
    found = names_sha256(classes)
    if found in pin.in_order:
        return
    if len(classes) != pin.classes:
        reason = f"there are {len(classes)} classes, {dataset} has {pin.classes}"
    elif names_sha256(sorted(classes)) == pin.names:
        reason = f"the {pin.classes} names are those of {dataset} in another order, so every number means another class"
    else:
        reason = f"some of the {pin.classes} names are not those of {dataset}"
    raise LabelError(
        f"not the class list of {dataset}: {reason} (sha256 of the names {found[:16]}, expected "
        f"{' or '.join(sha256[:16] for sha256 in pin.in_order)}). Give the official list, or --own-classes to keep yours"
    )
