"""A zoo of published weights, in a folder, in a bucket and behind a web server."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import actionlib
from actionlib import checkpoints, storage, weights
from actionlib.convert import to_upstream
from actionlib.errors import CheckpointError, ConflictError, InputError, LocationError
from pipelines.publish import ConvertConfig, PublishConfig, convert_weights, publish

MODEL = "r3d_tiny_8x4"


def network(seed: int, classes: int = 3) -> torch.nn.Module:
    torch.manual_seed(seed)
    return actionlib.create_model(MODEL, num_classes=classes)


@pytest.fixture(params=["folder", "s3"])
def zoo(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    root = str(tmp_path / "zoo") if request.param == "folder" else f"{request.getfixturevalue('bucket')}/zoo"
    monkeypatch.setenv("ACTIONLIB_ZOO", root)
    monkeypatch.setenv("ACTIONLIB_CACHE", str(tmp_path / "cache"))
    return root


def put(zoo: str, seed: int, classes: int = 3, *, default: bool = False) -> str:
    card = {"classes": [f"class{i}" for i in range(classes)], "recipe": None}
    return weights.publish(zoo, MODEL, network(seed, classes).state_dict(), card, default=default)


def test_default_and_named_weights(zoo: str) -> None:
    first, second = put(zoo, 0), put(zoo, 1)
    assert put(zoo, 0) == first  # the same weights again change nothing
    for which, seed in ((True, 0), (first, 0), (second, 1), (f"zoo:{second}", 1)):
        model = actionlib.create_model(MODEL, pretrained=which)
        assert model.head.fc.out_features == 3  # as the weights have it
        for name, value in network(seed).state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name
    put(zoo, 1, default=True)
    assert weights.locate(MODEL, "zoo").endswith(second)


def test_other_classes_keep_the_backbone_and_say_so(zoo: str, caplog: pytest.LogCaptureFixture) -> None:
    put(zoo, 0)
    with caplog.at_level(logging.WARNING):
        model = actionlib.create_model(MODEL, num_classes=101, pretrained=True)
    assert "head.fc.bias, head.fc.weight" in caplog.text
    assert model.head.fc.out_features == 101
    assert torch.equal(model.backbone.state_dict()["stem.norm.weight"], network(0).backbone.stem.norm.weight)


def test_wrong_names(zoo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LocationError, match=r"index\.json is not there"):
        actionlib.create_model(MODEL, pretrained=True)
    there = put(zoo, 0)
    with pytest.raises(InputError, match=f"no weights 0123abcd of {MODEL}: it has {there}"):
        actionlib.create_model(MODEL, pretrained="0123abcd")
    with pytest.raises(InputError, match=f"none of slowonly_r50_8x8; it has {MODEL}"):
        actionlib.create_model("slowonly_r50_8x8", pretrained=True)
    monkeypatch.delenv("ACTIONLIB_ZOO")
    with pytest.raises(LocationError, match="ACTIONLIB_ZOO"):
        actionlib.create_model(MODEL, pretrained=True)


def test_a_damaged_file_is_never_used(zoo: str) -> None:
    hash8 = put(zoo, 0)
    file = storage.join(zoo, MODEL, hash8, "model.safetensors")
    data = storage.read(file)
    storage.write(file, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"sha256|not the file"):
        actionlib.create_model(MODEL, pretrained=True)
    with pytest.raises(ConflictError, match="damaged"):
        put(zoo, 0)


def test_a_damaged_card_is_said(zoo: str) -> None:
    where = storage.join(zoo, MODEL, put(zoo, 0), "card.json")
    for text in (b"{", b'{"model": "x"}'):
        storage.write(where, text)
        with pytest.raises(CheckpointError, match=r"card\.json"):
            actionlib.create_model(MODEL, pretrained=True)


def test_a_run_named_after_its_day_is_a_location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20261121 has 8 hex digits, too."""
    run = tmp_path / "20261121"
    told = {"step": 1, "model": MODEL, "classes": list("abc")}
    checkpoints.save(str(run / "step-000000001-abcdef"), network(0).state_dict(), None, told)
    checkpoints.Run(str(run)).point("latest", "step-000000001-abcdef", 1, {})
    monkeypatch.chdir(tmp_path)
    for which in (str(run), "20261121"):
        assert weights.load(weights.locate(MODEL, which)).trainer["step"] == 1


def test_two_publishers_at_once_lose_nothing(zoo: str) -> None:
    states = [network(seed).state_dict() for seed in range(6)]
    found: list[str] = []

    def work(part: list[dict[str, torch.Tensor]]) -> None:
        found.extend(weights.publish(zoo, MODEL, state, {}, default=False) for state in part)

    threads = [threading.Thread(target=work, args=(states[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index = json.loads(storage.read(storage.join(zoo, "index.json")))
    assert set(index["models"][MODEL]["weights"]) == set(found) and len(found) == 6


# --- the web --------------------------------------------------------------------------------------------------


class _Server(http.server.BaseHTTPRequestHandler):
    root: Path
    ranges: list[tuple[int, int]]
    fail_after: int | None = None

    def do_GET(self) -> None:
        path = type(self).root / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = self.headers.get("Range")
        if asked:
            first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
            if self.fail_after is not None and first >= self.fail_after:
                self.send_error(503)
                return
            data = data[first : last + 1]
            type(self).ranges.append((first, last))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[_Server], str]]:
    handler = type("Handler", (_Server,), {"root": tmp_path / "zoo", "ranges": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    put(str(tmp_path / "zoo"), 0)
    monkeypatch.setenv("ACTIONLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTIONLIB_ZOO", f"http://127.0.0.1:{server.server_port}")
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_download_goes_on_where_it_stopped(
    web: tuple[type[_Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, _ = web
    monkeypatch.setattr(weights, "_CHUNK_BYTES", 1 << 18)
    handler.fail_after = 2 << 18
    with pytest.raises(CheckpointError, match="503"):
        actionlib.create_model(MODEL, pretrained=True)
    assert [first for first, _ in handler.ranges] == [0, 1 << 18]
    handler.fail_after = None
    model = actionlib.create_model(MODEL, pretrained=True)
    assert torch.equal(model.head.fc.weight, network(0).head.fc.weight)
    asked = [first for first, _ in handler.ranges]
    assert asked == sorted(set(asked))  # no part twice
    handler.ranges.clear()
    actionlib.create_model(MODEL, pretrained=True)
    assert handler.ranges == []  # from the cache


# --- jobs -----------------------------------------------------------------------------------------------------


def test_a_run_is_published_with_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, zoo = str(tmp_path / "runs" / "one"), str(tmp_path / "zoo")
    uri = f"{run}/{checkpoints.name_of(5)}"
    trainer = {"step": 5, "model": MODEL, "classes": ["a", "b", "c"], "data": "s3://data/x", "revision": "r"}
    checkpoints.save(uri, network(0).state_dict(), None, trainer)
    checkpoints.Run(run).point("latest", uri.rsplit("/", 1)[1], 5, {})
    sha256 = checkpoints.load(uri).sha256
    for name, which in (("good", sha256), ("of-other-weights", "0" * 64)):
        metrics = {"weights_sha256": which, "top1": 0.5, "evaluated": 9, "nominal": 10, "per_class": {}}
        storage.write(f"{run}/evaluations/{name}/metrics.json", json.dumps(metrics).encode())

    place = publish(
        PublishConfig(zoo=zoo, checkpoints=str(tmp_path / "runs"), run="one", licence="CC BY 4.0")
    )

    card = json.loads(Path(place, "card.json").read_text())
    assert card["scores"] == [{"evaluated": 9, "nominal": 10, "top1": 0.5}]
    assert (card["model"], card["classes"], card["licence"]) == (MODEL, ["a", "b", "c"], "CC BY 4.0")
    assert card["sha256"].startswith(place.rsplit("/", 1)[1]) and card["source_run"] == uri
    monkeypatch.setenv("ACTIONLIB_ZOO", zoo)
    assert actionlib.create_model(MODEL, pretrained=True).head.fc.out_features == 3
    with pytest.raises(InputError, match="either --weights"):
        publish(PublishConfig(zoo=zoo))
    with pytest.raises(InputError, match="is a r3d_tiny"):
        publish(PublishConfig(zoo=zoo, weights=run, model="slowonly_r50_8x8"))


def test_a_foreign_checkpoint_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, zoo = "tsn_r18_seg7_k400_gcvpt", str(tmp_path / "zoo")
    model = actionlib.create_model(name, num_classes=5)
    torch.save(to_upstream(model.state_dict(), model=name, upstream="gluoncv_torch"), tmp_path / "a.pth")
    config = ConvertConfig(
        model=name, upstream="gluoncv_torch", checkpoint=str(tmp_path / "a.pth"), output=zoo, any_hash=True
    )
    with pytest.raises(InputError, match=r"sha1 [0-9a-f]{8}\.\.\. is not 854b23e4"):
        convert_weights(ConvertConfig(**{**vars(config), "any_hash": False}))

    place = convert_weights(config)

    card = json.loads(Path(place, "card.json").read_text())
    assert [origin["upstream"] for origin in card["converted_from"]] == ["gluoncv_torch"]
    assert card["recipe"]["statistics"]["channel_order"] == "RGB"
    monkeypatch.setenv("ACTIONLIB_ZOO", zoo)
    loaded = actionlib.create_model(name, pretrained=True)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key
    with pytest.raises(CheckpointError, match="differences"):
        convert_weights(ConvertConfig(**{**vars(config), "model": "tsn_r50_seg7_k400_gcvpt"}))


def test_the_streams_of_a_two_stream_model_are_converted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, zoo = "i3d_inceptionv1_twostream_64x1_ucf101", str(tmp_path / "zoo")
    streams = []
    for seed, stream in enumerate(("i3d_inceptionv1_64x1_ucf101", "i3d_inceptionv1_flow_64x1_ucf101")):
        torch.manual_seed(seed)
        streams.append(actionlib.create_model(stream, num_classes=5).eval())
        theirs = to_upstream(streams[-1].state_dict(), model=stream, upstream="mmaction")
        torch.save(theirs, tmp_path / f"{seed}.pth")
    config = ConvertConfig(
        model=name,
        upstream="mmaction",
        checkpoint=str(tmp_path / "0.pth"),
        flow_checkpoint=str(tmp_path / "1.pth"),
        output=zoo,
        any_hash=True,
    )

    place = convert_weights(config)

    card = json.loads(Path(place, "card.json").read_text())
    assert [origin["file"] for origin in card["converted_from"]] == ["0.pth", "1.pth"]
    monkeypatch.setenv("ACTIONLIB_ZOO", zoo)
    both = actionlib.create_model(name, pretrained=True).eval()
    x = torch.randn(2, 5, 4, 20, 24)
    with torch.no_grad():
        mean = (streams[0](x[:, :3]) + streams[1](x[:, 3:])) / 2
        torch.testing.assert_close(both(x), mean, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="that of the second as --flow-checkpoint"):
        convert_weights(ConvertConfig(**{**vars(config), "flow_checkpoint": None}))
    with pytest.raises(InputError, match="leave out --flow-checkpoint"):
        convert_weights(ConvertConfig(**{**vars(config), "model": "i3d_inceptionv1_64x1_ucf101"}))


def test_broken_numbers_are_not_published(tmp_path: Path) -> None:
    model = network(0)
    with torch.no_grad():
        model.head.fc.bias[0] = torch.nan
    checkpoints.save(
        str(tmp_path / "c"), model.state_dict(), None, {"step": 1, "model": MODEL, "classes": list("abc")}
    )
    with pytest.raises(CheckpointError, match=r"head\.fc\.bias"):
        publish(PublishConfig(zoo=str(tmp_path / "zoo"), weights=str(tmp_path / "c")))
