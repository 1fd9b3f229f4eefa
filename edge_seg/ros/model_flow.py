"""The model flow of a configured node: slot, loader, succession and what they announce."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from diagnostic_msgs.msg import DiagnosticStatus
from edge_seg.backends.build_progress import BuildProgress
from edge_seg.core.values import Size
from edge_seg.models.layered import open_stores
from edge_seg.models.share import share_path
from edge_seg.models.store import default_store_root
from edge_seg.ros.announcements import Announcements
from edge_seg.ros.model_requests import ModelRequests
from edge_seg.runtime.building.build_cache import BuildCache
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.frames.answer import Answer
from edge_seg.runtime.frames.serving import ServingModel
from edge_seg.runtime.frames.slot import ModelSlot
from edge_seg.runtime.loading.candidate import CandidateFactory, CandidateOptions, LoadedModel
from edge_seg.runtime.loading.loader import ModelLoader
from edge_seg.runtime.loading.model_status import ModelStatus, StatusBoard
from edge_seg.runtime.loading.succession import Succession
from edge_seg.runtime.parameters.settings import SegmentationSettings
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Header

LOADER_STOP_TIMEOUT_S = 5.0
JUDGE_PERIOD_S = 0.5
BUILD_LOG_PERIOD_S = 5.0


class ModelFlow:
    """Brings models into the slot between ``open`` and ``close``; announces them always.

    Args:
        node: owner.
        camera_size: present size of the camera image, None while no frame came.
    """

    def __init__(self, node: Node, camera_size: Callable[[], Size | None]) -> None:
        self._node = node
        self._camera_size = camera_size
        self._announcements = Announcements(node)
        self._board = StatusBoard(self._announcements.status)
        self._opened = ExitStack()
        self._loader: ModelLoader | None = None  # while it loads the first model, too
        self._given_up = False
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.slot: ModelSlot[ServingModel] = ModelSlot()
        self.requests = ModelRequests(node)
        self.observer: Succession | None = None
        """Judges the model by its frames while the flow is open."""

    def open(self, settings: SegmentationSettings) -> None:
        """Load and warm the first model, then serve requests for others.

        Raises:
            ModelRejected: the first model was refused; nothing stays loaded.
            LoadInProgress: the flow was given up.
        """
        with ExitStack() as undo:
            succession = self._make_succession(settings)
            undo.callback(succession.close)
            loader = self._loader = self._make_loader(settings, succession)
            undo.callback(loader.close, LOADER_STOP_TIMEOUT_S)
            if self._given_up:  # perhaps before there was a loader to be told
                loader.close(0.0)
            loader.load(settings.model)
            self.requests.attach(loader)
            undo.callback(self.requests.detach)
            self._every(JUDGE_PERIOD_S, succession.judge, undo)
            if settings.watch_store_s > 0:
                self._every(settings.watch_store_s, self.requests.watch, undo)
            self.observer = succession
            self._opened = undo.pop_all()

    def give_up(self) -> None:
        """Let a load under way fail soon, and every later one; from any thread."""
        self._given_up = True
        loader = self._loader
        if loader is not None:
            loader.close(0.0)

    def close(self) -> None:
        """Give up a load under way and unload everything. Twice is fine."""
        self.observer = None
        self._opened.close()

    @property
    def status(self) -> ModelStatus:
        """What serves and how the last request goes."""
        return self._board.status

    def diagnostic(self) -> DiagnosticStatus:
        """Put the status into a message."""
        return self._announcements.diagnostic(self._board.status)

    def _every(self, period_s: float, callback: Callable[[], None], undo: ExitStack) -> None:
        """Call back in real time, whatever a simulation does, until ``undo`` is closed."""
        timer = self._node.create_timer(period_s, callback, clock=self._steady_clock)
        undo.callback(self._node.destroy_timer, timer)

    def _make_succession(self, settings: SegmentationSettings) -> Succession:
        return Succession(
            self.slot,
            self._board,
            settings.probation_rules(),
            keep_previous=settings.keep_previous and settings.swap == 'overlap',
            announce=self._on_serving,
            on_withdrawn=self._on_withdrawn,
            on_worn_out=self.requests.worn_out,
            on_first_answer=self._on_first_answer,
        )

    def _make_loader(self, settings: SegmentationSettings, succession: Succession) -> ModelLoader:
        store = open_stores(
            settings.model_store,
            own=default_store_root(),
            installed=lambda: share_path('models'),
        )
        options = CandidateOptions(
            backend=settings.backend,
            compile=settings.compile_options(),
            warmup_runs=settings.warmup_runs,
            signatures=settings.signature_policy(),
            preprocess=settings.preprocess,
        )
        cache_dir = settings.cache_directory()
        builder = None
        if cache_dir is not None:
            cache = BuildCache(cache_dir, limit_bytes=settings.cache_limit_mb * 1_000_000)
            builder = Builder(
                cache, options.compile, engines=settings.build, on_build=self._on_build
            )
        return ModelLoader(
            CandidateFactory(store, options, builder, pause=succession.idle.wait),
            succession,
            self._board,
            exclusive=settings.swap == 'exclusive',
            camera_size=self._camera_size,
            on_done=self.requests.finished,
        )

    def _on_build(self, progress: BuildProgress) -> None:
        self._node.get_logger().info(
            f'building an engine: {progress}', throttle_duration_sec=BUILD_LOG_PERIOD_S
        )

    def _on_serving(self, loaded: LoadedModel) -> None:
        self._announcements.classes(loaded.model.spec)
        report, warm_up = loaded.model.report, loaded.warm_up
        self._node.get_logger().info(
            f'serving {loaded.model.identity} with {report.backend} {report.backend_version} on '
            f'{report.device} in {report.precision}; first inference '
            f'{warm_up.first_s * 1e3:.1f} ms, then {warm_up.steady_s * 1e3:.1f} ms'
        )

    def _on_withdrawn(self, withdrawn: LoadedModel, reason: str) -> None:
        self._node.get_logger().error(f'{withdrawn.model.identity} was withdrawn: {reason}')
        self.requests.withdrawn(withdrawn.package.manifest_sha256)

    def _on_first_answer(self, answer: Answer) -> None:
        if isinstance(answer.header, Header):
            stamp = answer.header.stamp
            self._board.first_frame(f'{stamp.sec}.{stamp.nanosec:09d}')
