"""Chooses the backend of a model, gets what it loads, and loads it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from edge_seg.backends.base import CompiledModel, CompileOptions
from edge_seg.backends.registry import AUTO, BackendChoice, Rejected
from edge_seg.core.values import ArtifactFormat
from edge_seg.errors import BackendUnavailable, NotBuilt, PrebuiltUnusable
from edge_seg.models.package import ModelPackage
from edge_seg.runtime.building.builder import Builder
from edge_seg.runtime.building.engine_builds import Prebuilt, without_cache


class ChooseBackend(Protocol):
    """The signature of ``registry.choose``."""

    def __call__(
        self, requested: str, formats: Collection[ArtifactFormat], *, without: Collection[str]
    ) -> BackendChoice:
        """Pick the backend for a model."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that is verified and built, and takes no memory yet.

    Attributes:
        package: the model.
        choice: backend it was built for.
        prebuilt: what the backend loads.
    """

    package: ModelPackage
    choice: BackendChoice
    prebuilt: Prebuilt


@dataclass(frozen=True, slots=True)
class Compiling:
    """From a verified model to one that runs.

    Attributes:
        backend: 'auto' or the name of a backend.
        options: device, threads, precision.
        builder: compiles ahead in a child process; None compiles in this process.
        choose: gives the backend.
    """

    backend: str
    options: CompileOptions
    builder: Builder | None
    choose: ChooseBackend

    def prepare(self, package: ModelPackage, without: Collection[str] = ()) -> Prepared:
        """Choose a backend and build for it; a free choice passes over one without an engine.

        Args:
            package: the model.
            without: backends that a free choice passes over.

        Raises:
            BackendUnavailable, IncompatibleModel, SettingsInvalid: as ``registry.choose``.
            CompileFailed, StoreError: as ``Builder.prebuilt``.
        """
        formats = [artifact.format for artifact in package.manifest.artifacts]
        choice = self.choose(self.backend, formats, without=without)
        try:
            return Prepared(package, choice, self._prebuilt(package, choice))
        except NotBuilt as missing:
            return self._passed_over(package, choice, missing)

    def compile(
        self, prepared: Prepared, *, build_engines: bool = True
    ) -> tuple[Prepared, CompiledModel]:
        """Load; a file that was compiled ahead and does not load is replaced, built once at most.

        Args:
            prepared: what ``prepare`` gave.
            build_engines: False only looks for another engine: to build one takes minutes.

        Returns:
            What was loaded in the end, and the model.

        Raises:
            BackendUnavailable, CompileFailed, IncompatibleModel: as ``Backend.compile_model``.
        """
        while True:
            backend, spec = prepared.choice.backend, prepared.package.manifest.spec
            options = self.options.for_backend(backend.name)
            try:
                return prepared, backend.compile_model(prepared.prebuilt.file, spec, options)
            except PrebuiltUnusable as failure:
                # One that was built just now would only be built the same again.
                if self.builder is None or prepared.prebuilt.fresh:
                    raise
                prepared = self._in_place_of(self.builder, prepared, failure, build_engines)

    def _prebuilt(self, package: ModelPackage, choice: BackendChoice) -> Prebuilt:
        if self.builder is None:
            return Prebuilt(without_cache(package, choice, self.options))
        return self.builder.prebuilt(package, choice)

    def _passed_over(
        self, package: ModelPackage, choice: BackendChoice, missing: NotBuilt
    ) -> Prepared:
        """Prepare for the next backend, if it is free, in place of one without an engine."""
        if self.backend != AUTO:
            raise missing
        rejected = (*choice.rejected, Rejected(choice.backend.name, str(missing)))
        names = [each.name for each in rejected]
        try:
            other = self.prepare(package, without=names)
        except BackendUnavailable:
            raise missing from None  # what would help is to build it
        more = [each for each in other.choice.rejected if each.name not in names]
        return replace(other, choice=replace(other.choice, rejected=(*rejected, *more)))

    def _in_place_of(
        self,
        builder: Builder,
        prepared: Prepared,
        failure: PrebuiltUnusable,
        build_engines: bool,
    ) -> Prepared:
        """Give what is loaded after a refusal: never again the file that the model came with."""
        package, choice = prepared.package, prepared.choice
        artifact = package.artifact_for([choice.artifact_format])
        if prepared.prebuilt.file != artifact:
            # A damaged or outdated cache entry is no fault of the model. Any other refusal, as
            # for want of memory, would only be met again after minutes of building.
            builder.discard(prepared.prebuilt.file, str(failure))
        try:
            other = builder.prebuilt(
                package, choice, refused=str(failure), build_engines=build_engines
            )
        except NotBuilt as missing:
            said = NotBuilt(failure.met, remedy=missing.remedy)
            said.__cause__ = failure
            return self._passed_over(package, choice, said)
        if other.file == artifact:
            raise failure
        return replace(prepared, prebuilt=other)
