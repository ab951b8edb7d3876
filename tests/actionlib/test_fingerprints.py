"""Frame hashes: their arithmetic against scipy-free formulas by hand, and what they find among real videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actionlib import fingerprints
from actionlib.samples import EncodedVideo
from actionlib.transcode import transcode
from tests.actionlib.made_videos import ffmpeg


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth colour picture, the same at every size: random waves over the unit square."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij")
    waves = sum(
        amplitude * np.sin(2 * np.pi * (a * x + b * y + phase))
        for a, b, phase, amplitude in zip(*rng.random((4, 40)) * [[9], [9], [1], [30]], strict=True)
    )
    grey = np.clip(128 + waves, 0, 255).astype(np.uint8)
    return np.broadcast_to(grey, (1, 3, height, width))


def test_a_hash_is_what_its_definition_says() -> None:
    """Averaging and the cosine sums written out as loops, for a picture whose sides are no multiples of 32."""
    frames = picture(100, 150)
    grey = frames[0, 0].astype(np.float64)

    def mean(top: float, bottom: float, left: float, right: float) -> float:
        total = 0.0
        for row in range(int(top), min(int(np.ceil(bottom)), 100)):
            for column in range(int(left), min(int(np.ceil(right)), 150)):
                share = (min(bottom, row + 1) - max(top, row)) * (min(right, column + 1) - max(left, column))
                total += share * grey[row, column]
        return total / ((bottom - top) * (right - left))

    h, w = 100 / 32, 150 / 32
    small = [[mean(i * h, (i + 1) * h, j * w, (j + 1) * w) for j in range(32)] for i in range(32)]
    cos = lambda k, i: np.cos(np.pi * k * (2 * i + 1) / 64)  # noqa: E731
    rows = np.array([[cos(k, i) for i in range(32)] for k in range(16)])
    spectrum = (rows @ np.array(small) @ rows.T).reshape(-1)[1:]
    bits = (spectrum > np.median(spectrum)).tolist()
    value = sum(1 << (place + 1) for place, bit in enumerate(bits) if bit)
    hashes, says = fingerprints.frame_hashes(frames)
    assert says.all() and sum(int(word) << (64 * n) for n, word in enumerate(hashes[0])) == value


def test_size_does_not_matter_and_content_does() -> None:
    one, other = (fingerprints.frame_hashes(picture(*size))[0][0] for size in ((256, 340), (97, 131)))
    assert distance(one, other) <= 8
    different = [fingerprints.frame_hashes(picture(97, 131, seed))[0][0] for seed in range(1, 20)]
    assert min(distance(one, another) for another in different) > fingerprints.THRESHOLD_BITS
    assert distance(one, ~one) == 256
    cropped = fingerprints.frame_hashes(picture(120, 120)[:, :, 12:108, 12:108])[0][0]
    whole, middle = (fingerprints.frame_hashes(picture(120, 120), crop)[0][0] for crop in (1.0, 0.8))
    assert distance(cropped, middle) <= 2 < distance(cropped, whole)


def test_plain_frames_say_nothing() -> None:
    plain = np.full((2, 3, 64, 64), 16, np.uint8)
    plain[1, :, 30:32, 30:32] = 116  # a dot
    assert not fingerprints.frame_hashes(plain)[1].any()
    empty = fingerprints.table("d 1", [("black", np.empty((0, 4), np.uint64))])
    assert fingerprints.Index(empty).duplicate(np.zeros((4, 4), np.uint64)) is None


@pytest.mark.parametrize(
    ("frames", "fps", "wanted"), [(10, 5, [2, 7]), (1, 25, [0]), (3, 30, [0, 1, 2]), (100, 10, None)]
)
def test_sampled_frames(frames: int, fps: int, wanted: list[int] | None) -> None:
    video = EncodedVideo(b"", "h264", frames, 64, 64, Fraction(fps))
    got = fingerprints.sampled(video, 1, 1 if frames == 10 else 4)
    assert got == (wanted or [5, 15, 25, 35, 45, 55, 65, 75, 85, 95])


def test_a_duplicate_needs_two_frames_of_one_video_unless_it_has_only_one() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 1 << 63, (2, 5, 4), np.uint64)
    index = fingerprints.Index(fingerprints.table("d 1", [("b", b), ("a", a)]))
    near = a[2] ^ np.array([(1 << 56) - 1, 0, 0, 0], np.uint64)  # 56 bits
    far = a[2] ^ np.array([(1 << 57) - 1, 0, 0, 0], np.uint64)
    other = rng.integers(0, 1 << 63, (3, 4), np.uint64)
    assert index.duplicate(np.array([near])) == "a" and index.duplicate(np.array([far])) is None
    assert index.duplicate(np.array([near, *other])) is None
    assert index.duplicate(np.array([near, a[3], *other])) == "a"
    assert index.duplicate(np.array([a[0], b[0], *other])) is None
    assert index.duplicate(np.array([a[0], b[0], b[1], *other])) == "b"
    assert index.duplicate(np.array([a[0], a[1], b[0], b[1]])) == "a"


CHANGES = {
    "small and coarse": ["-vf", "scale=160:120", "-c:v", "libx264", "-crf", "36", "-preset", "ultrafast"],
    "stretched": ["-vf", "scale=340:256", "-c:v", "mpeg4", "-q:v", "6"],
    "cropped to 0.9": ["-vf", "crop=iw*0.9:ih*0.9", "-c:v", "mpeg4", "-q:v", "4"],
    "cropped to 0.85": ["-vf", "crop=iw*0.85:ih*0.85", "-c:v", "mpeg4", "-q:v", "4"],
    "brighter": ["-vf", "eq=brightness=0.1:contrast=1.2", "-c:v", "mpeg4", "-q:v", "4"],
    "later and slower": ["-ss", "0.37", "-r", "15", "-c:v", "mpeg4", "-q:v", "4"],
    "one frame": ["-ss", "1.03", "-frames:v", "1", "-c:v", "mpeg4", "-q:v", "4"],
}


def test_changed_real_videos_are_found_and_different_ones_are_not(test_data: Path, tmp_path: Path) -> None:
    """Seven videos of UCF101 in the reference; as candidates a changed copy of each, and six others."""
    files = sorted((test_data / "ucf101" / "UCF-101").glob("*/*.avi"))
    there, others = files[:: len(files) // 6][:7], files[1 :: len(files) // 6][:6]
    groups = [{path.name.rsplit("_", 1)[0] for path in paths} for paths in (there, others)]
    assert (len(there), len(others)) == (7, 6) and groups[0].isdisjoint(groups[1])

    def stored(path: Path) -> EncodedVideo:
        return transcode(path, resize="short256", encoding="h264").video

    reference = [(path.name, fingerprints.of_reference(stored(path))) for path in there]
    index = fingerprints.Index(fingerprints.table("ucf101 0123", reference))
    for number, (name, change) in enumerate(CHANGES.items()):
        source = there[number]
        ffmpeg("-i", str(source), *change, "-an", str(tmp_path / f"{number}.mp4"))
        candidate = fingerprints.of_candidate(stored(tmp_path / f"{number}.mp4"))
        assert index.duplicate(candidate) == source.name, name
    for path in others:
        assert index.duplicate(fingerprints.of_candidate(stored(path))) is None, path
