"""Preprocessing: annotation files and a folder of videos become a dataset of encoded shards.

    annotations + listing of the source -> plan -> Ray Data: one task, one shard -> manifest -> _dataset.json

Only shard numbers and small counts pass through Ray: no frame and no video byte enters its object store. What is
done is known from objects in `--output` alone, so a run can be killed anywhere and started again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from actionlib import dataset, fetch, lease, storage, transcode
from actionlib.errors import InputError
from actionlib.lease import Lease
from actionlib.samples import Annotations
from actionlib.scratch import scratch_folder
from actionlib.transcode import Form
from pipelines import cluster, dedup, estimate, forms, manifest, plan, planning, retry, shard_progress
from pipelines.annotation_files import accepted
from pipelines.plan import Plan, Settings
from pipelines.prepare_config import PrepareConfig, rate
from pipelines.run_shards import run_shards
from pipelines.shard_task import Counts, make_shard

Listing = Callable[[], Mapping[str, int]]

_REASONS = 10  # lines of the table


def prepare(config: PrepareConfig, annotate: Callable[[Listing], Annotations]) -> str | None:
    """Preprocess, or continue, or find all done; prints the plan, progress and a table.

    Returns the dataset's version (the first one's where several are stored), None after `--plan-only`.

    Args:
        annotate: reads the annotation files. Its argument lists the source, for annotations that depend on it.

    Raises:
        InputError: settings, annotations or locations are wrong; nothing was started.
        AlreadyRunningError: another run works at `--output`.
        ActionlibError: too much was rejected, or a shard could not be made.
    """
    if config.plan_only:
        only_plan(config, annotate)
        return None
    _, output = check_locations(config)
    roots = [target.output for target in _targets(config, output)]
    throughput = ""
    is_done = all(storage.exists(storage.join(root, dataset.DATASET)) for root in roots)
    if is_done and config.retry_rejected is None:
        planned = check_and_plan(config, annotate)
        print(f"{output}: already done, nothing was changed")
    else:
        storage.check_writable(output, "--output")
        with ExitStack() as stack:
            held = [stack.enter_context(lease.hold(root)) for root in roots]
            planned = check_and_plan(config, annotate)
            throughput = make_datasets(planned, config, held)
    versions = []
    for part in forms.parts(planned):
        found = manifest.published(part)
        assert found is not None
        print(summary(part.output, *found, throughput))
        versions.append(found[1])
        if config.flow:
            from pipelines.extract_flow import ExtractFlowConfig, extract_flow  # brings a compiler

            extract_flow(ExtractFlowConfig(data=part.output, workers=config.workers))
    return versions[0]


def _targets(config: PrepareConfig, output: str) -> list[forms.Target]:
    return forms.targets(output, config.resize, config.encoding, config.store)


def only_plan(config: PrepareConfig, annotate: Callable[[Listing], Annotations]) -> None:
    """`--plan-only`: print the plan of `--output`, or the one it would get, with a sample of any set."""
    with scratch_folder("actionlib-plan-") as folder:
        planned = check_and_plan(config, annotate, str(folder))
        if planned.output.startswith(str(folder)):
            # Other machines do not see the folder, and tasks read only this table: no duplicates are looked for.
            tables = {name: table for name, table in planned.tables.items() if name != dedup.TABLE}
            planned = dataclasses.replace(planned, tables=tables)
        pending = pending_shards(planned)
        show_plan(planned, config, pending, min(estimate.MOST, planned.present) if pending else 0)
    print(f"--plan-only: {config.output} was not touched; the same command without it does the work")


def check_locations(config: PrepareConfig) -> tuple[str, str]:
    """`--source` and `--output` as they are used. Raises InputError where they cannot be."""
    source = fetch.check_source(config.source, "--source")
    output = storage.check_uri(config.output, "--output")
    if (output + "/").startswith(source + "/"):
        raise InputError(
            f"--output {output} lies inside --source {source}; its shards would be taken for videos"
        )
    fetch.check_readable(source, "--source")
    return source, output


def check_and_plan(
    config: PrepareConfig, annotate: Callable[[Listing], Annotations], trial: str | None = None
) -> Plan:
    """Check everything that can be checked before a worker starts, and make or find the plan.

    Args:
        trial: a folder that takes a new plan in place of `--output`, which is not written to then.
    """
    source, output = check_locations(config)
    transcode.check_ffmpeg()
    outside: list[str] = []
    listing = functools.cache(functools.partial(fetch.listing, source, outside))
    annotations = accepted(annotate(listing), config.strict)
    targets = _targets(config, output)
    encodings = [target.form.encoding for target in targets]
    plans = []
    for target in targets:
        settings = _settings(config, source, target.form)
        stored = plan.load(target.output)
        if stored is None:
            if storage.exists(storage.join(target.output, dataset.DATASET)):
                raise InputError(
                    f"--output {target.output} holds a dataset that was made elsewhere; choose another --output"
                )
            if trial is None:
                storage.check_writable(output, "--output")
            where = target.output if trial is None else storage.join(trial, target.form.name)
            found = None if fetch.is_web(source) else listing()
            stored = planning.make(where, settings, annotations, found, encodings)
        elif config.retry_rejected is not None:  # its own plan keeps its limits
            settings = dataclasses.replace(settings, limits=stored.settings["limits"])
        plan.check_same(stored, settings, annotations)
        plans.append(stored)
    if outside:
        print(
            f"--source {source}: {len(outside)} symbolic links in it lead out of it and are left out, such as "
            f"{min(outside)}; copy or move what they lead to below --source",
            flush=True,
        )
    joined = forms.joined(plans)
    if joined.listed:
        appeared, went = plan.changes(joined, annotations)
        if appeared or went:
            print(
                f"--source {source}: {appeared} files appeared and {went} went since this was planned; the plan stays as "
                "it is, a new --output takes in what is there now",
                flush=True,
            )
    return joined


def _settings(config: PrepareConfig, source: str, form: Form) -> Settings:
    return Settings(
        name=config.name,
        source=source,
        resize=form.resize,
        encoding=form.encoding,
        encoder=transcode.ENCODER[form.encoding],
        ffmpeg=transcode.ffmpeg_version(),
        limits=_limits(config),
        splits=tuple(sorted(config.split)),
        limit=config.limit,
        shard_mib=config.shard_mib,
        shard_videos=config.shard_videos,
        fps=str(rate(config.fps)) if config.fps else None,
    )


def _limits(config: PrepareConfig) -> dict[str, Any]:
    return asdict(transcode.Limits(wall_s=config.limit_seconds, output_bytes=config.limit_mib << 20))


def make_datasets(planned: Plan, config: PrepareConfig, held: Sequence[Lease]) -> str:
    """Make what is missing in all forms, and publish each. Returns a line about the throughput."""
    throughput = [make_shards(planned, config, held)] if planned.others else []
    for part, its_lease in zip(forms.parts(planned), held, strict=True):
        throughput.append(make_dataset(part, config, its_lease))
    return "; ".join(filter(None, throughput))


def make_dataset(planned: Plan, config: PrepareConfig, held: Lease) -> str:
    """Make what is missing of the plan and its retries, plan another retry if one is asked for, and publish.

    Returns a line about the throughput.
    """
    before = retry.retries(planned)
    is_begun = bool(before) and bool(pending_shards(before[-1]))
    throughput = [make_shards(part, config, [held]) for part in (planned, *before)]
    if config.retry_rejected is not None and not is_begun:
        more = retry.begin(planned, before, config.retry_rejected, config.max_rejected, _limits(config))
        if more is not None:
            before.append(more)
            throughput.append(make_shards(more, config, [held]))
    manifest.publish(planned, before, config.max_rejected, held)
    for part in before:
        retry.mark_done(part)
    return "; ".join(filter(None, throughput))


def pending_shards(planned: Plan) -> list[int]:
    """The shards that have no record yet, in one of the forms."""
    pending: set[int] = set()
    for part in forms.parts(planned):
        records = storage.listing(part.records)
        pending.update(n for n in range(part.shards) if part.record(n).rsplit("/", 1)[1] not in records)
    return sorted(pending)


def make_shards(planned: Plan, config: PrepareConfig, held: Sequence[Lease]) -> str:
    """Make every shard that has no record yet, on all of the cluster. Returns a line about the throughput.

    Raises:
        LeaseLostError: another run took over.
        ActionlibError: a shard could not be made, or too many videos were rejected to go on.
    """
    pending = pending_shards(planned)
    throughput = ""
    if pending:
        show_plan(planned, config, pending, 0 if planned.round else None)
        counts = Counts()
        with shard_progress.shown(config.name, int(planned.shard_sizes()[pending].sum())) as progress:
            stage = functools.partial(
                shard_stage, planned=planned, monitor=progress.monitor, spool_bytes=config.spool_mib << 20
            )
            for made in run_shards(stage, pending, config.workers, task_memory_bytes(planned)):
                for each in held:
                    each.check()
                counts.include(made)
                if not planned.round:  # the share of a retry is told at its end, of all videos
                    manifest.check_share(planned, counts.rejections, config.max_rejected, counts.missing)
            throughput = progress.throughput(counts)
    estimate.forget(planned)
    return throughput


def show_plan(planned: Plan, config: PrepareConfig, pending: list[int], sample: int | None = None) -> None:
    """Print what is left to do and, from a few videos done for a trial, what it will cost.

    Args:
        sample: how many videos to try; by default as many as are worth it, and they are kept for the next run.
    """
    cluster.connect(config.workers)
    spool_bytes, memory_bytes = config.spool_mib << 20, task_memory_bytes(planned)
    trials = estimate.kept(planned)
    size = estimate.sample_size(planned, pending) if sample is None else sample
    if size and not trials:
        print(f"{config.name}: trying {size} videos", flush=True)
        trials = estimate.take(planned, size, spool_bytes, memory_bytes)
        if sample is None:
            estimate.keep(planned, trials)
    there, cores = cluster.cores(), cluster.room(memory_bytes)
    is_short = cores < min(there, config.workers or there)  # of memory
    if not is_short:
        cores = config.workers or there  # more than there are, where a cluster grows
    disk = spool_bytes if fetch.is_remote(planned.settings["source"]) else 0
    text = estimate.lines(planned, pending, trials, cores, memory_bytes, disk)
    if is_short:
        text.append(
            f"        memory for {cores} of {there} cores; a new --output with a smaller --limit-mib reserves less"
        )
    print("\n".join(text), flush=True)


def task_memory_bytes(planned: Plan) -> int:
    """What a task may take, for Ray to start no more of them than a node has memory for; at most what one node has.

    While a video is decoded that is the worker, ffmpeg and the prober: 290 MB were measured for 20 s of 1080p. While a
    stored video is added to a shard, the worker and the prober, 240 MiB, and 3.1 times the video, and what it is stored
    as in other forms.
    """
    videos = (3.1 + len(planned.others)) * planned.settings["limits"]["output_bytes"]
    return min(max(512 << 20, (256 << 20) + int(videos)), cluster.most_memory_bytes())


def shard_stage(row: dict[str, Any], planned: Plan, monitor: Any, spool_bytes: int) -> dict[str, Any]:
    """The one stage: a shard number becomes a stored shard; out comes what it came to, a few hundred bytes."""
    shard = int(row["item"])
    report = shard_progress.Reporter(monitor, shard)
    counts = make_shard(planned, shard, report, spool_bytes)
    report(counts, last=True)
    return {"shard": shard, "counts": json.dumps(vars(counts))}


def summary(output: str, document: dict[str, Any], version: str, throughput: str) -> str:
    """The table at the end: counts of every split, the commonest rejections, what this run did, where it all is."""
    lines = [f"{'split':<12}{'stored':>9}{'rejected':>10}{'missing':>9}{'of nominal':>12}"]
    for split, n in [*document["splits"].items(), ("all videos", document["videos"])]:
        lines.append(f"{split:<12}{n['stored']:>9}{n['rejected']:>10}{n['missing']:>9}{n['nominal']:>12}")
    rejections = sorted(document["rejections"], reverse=True)[:_REASONS]
    lines += [f"rejected {count:>6}  {reason}" for count, reason in rejections]
    if len(document["rejections"]) > _REASONS:
        others = sum(count for count, _ in document["rejections"]) - sum(count for count, _ in rejections)
        lines.append(f"rejected {others:>6}  for {len(document['rejections']) - _REASONS} other reasons")
    lines += [f"adjusted {count:>6}  {rule}" for count, rule in document["adjusted"]]
    if wrong := document["tables"].get("wrong_lines"):
        lines.append(f"left out {wrong['rows']:>6}  wrong lines of the annotation files: {wrong['path']}")
    if throughput:
        lines.append(f"this run {throughput}")
    total = {
        key: sum(shard[key] for shard in document["shards"])
        for key in ("bytes", "frames", "seconds", "source_bytes")
    }
    lines += [
        f"dataset {document['name']} {version}: {output}",
        f"        {len(document['shards'])} shards, {document['resize']} {document['encoding']}: "
        f"{estimate.size_text(total['bytes'])} of {estimate.size_text(total['source_bytes'])} source videos, "
        f"{total['frames']} frames, {total['seconds'] / 3600:.2f} hours",
        f"rows    {storage.join(output, document['manifest']['path'])}: status, stage and reason of every video",
        f"look    python jobs/inspect.py {shlex.quote(output)} --output report",
    ]
    return "\n".join(lines)
