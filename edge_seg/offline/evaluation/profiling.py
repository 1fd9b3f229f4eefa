"""Where time and memory of a model go: stages of the frame path, layers, the process."""

import time

from edge_seg.backends.layer_profile import LayerProfiling, LayerTime
from edge_seg.backends.registry import choose
from edge_seg.core.decode import decode
from edge_seg.core.overlay import rgb_pixels
from edge_seg.core.values import DecodedImage, RawImage
from edge_seg.models.layered import LayeredStore
from edge_seg.offline.evaluation.frame_energy import energy_per_frame
from edge_seg.offline.evaluation.frames import FrameSet, good_frames, Progress
from edge_seg.offline.evaluation.results import MemoryUse, ProfileResult, StageLatency
from edge_seg.offline.evaluation.running import (
    AS_THE_NODE,
    FRAME_PATH,
    running_model,
    RunningModel,
    RunOptions,
    summarise,
)
import numpy as np
import psutil

LAYER_RUNS = 30


def profile(
    stores: LayeredStore,
    model: str,
    frames: FrameSet,
    *,
    options: RunOptions = AS_THE_NODE,
    progress: Progress | None = None,
) -> ProfileResult:
    """Time a model in the frame path, and its layers where the backend tells them.

    Layers are timed in runs of their own: counting them costs time.

    Args:
        stores: where the model is looked up.
        model: name, name@version or path.
        frames: what is segmented.
        options: backend, device, threads, precision.
        progress: told frames done and in all.

    Raises:
        SourceUnavailable: a frame cannot be used.
        ModelNotFound, ModelRejected, InferenceFailed: the model cannot be run.
    """
    before = _resident()
    package = stores.resolve(model)
    choose(options.backend, [artifact.format for artifact in package.manifest.artifacts])
    sdk = _resident()
    begin_s = time.monotonic()
    with running_model(stores, package, options) as running:
        load_ms = (time.monotonic() - begin_s) * 1e3
        loaded = _resident()
        decoding_s: list[float] = []
        for frame in good_frames(frames, 0, bad=[], limit=0.0):
            image, duration_s = _through_a_message(frame.image)
            decoding_s.append(duration_s)
            running.segment(image)
            if progress is not None:
                progress(len(decoding_s), frames.total)
        memory = MemoryUse(before=before, sdk=sdk, loaded=loaded, running=_resident())
        layers, note = _layers(running, options)
        return ProfileResult(
            run=running.run,
            data=frames.description,
            frames=len(decoding_s),
            load_ms=load_ms,
            stages=_stages(running, decoding_s),
            total=running.total,
            layers=layers,
            layers_note=note,
            memory=memory,
            energy_j=energy_per_frame(running, image),
        )


def _through_a_message(image: DecodedImage) -> tuple[DecodedImage, float]:
    """Decode an image from what a camera driver would send, and give the seconds it took."""
    pixels = np.ascontiguousarray(rgb_pixels(image))
    height, width = pixels.shape[:2]
    message = RawImage(width, height, 'rgb8', 3 * width, pixels.tobytes())
    begin_s = time.perf_counter()
    decoded = decode(message)
    return decoded, time.perf_counter() - begin_s


def _stages(running: RunningModel, decoding_s: list[float]) -> tuple[StageLatency, ...]:
    stages = [StageLatency('decode', summarise(decoding_s))]
    stages += [StageLatency(stage.value, running.latency(stage)) for stage in FRAME_PATH]
    totals = [a + b for a, b in zip(decoding_s, running.totals_s, strict=True)]
    return (*stages, StageLatency('total', summarise(totals)))


def _layers(running: RunningModel, options: RunOptions) -> tuple[tuple[LayerTime, ...], str]:
    backend = running.loaded.choice.backend
    if not isinstance(backend, LayerProfiling):
        return (), f'{backend.name} does not tell its layers'
    file, wanted = running.loaded.file, options.compile.for_backend(backend.name)
    layers = backend.profile_layers(file, running.spec, wanted, runs=LAYER_RUNS)
    if not layers:
        return (), 'the engine hides its layers: build it with detailed profiling information'
    if all(layer.mean_ms is None for layer in layers):
        return layers, f'{backend.name} tells its layers, not their times'
    return layers, ''


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)
